"""Clients of the older protocol: the scripts of docs/api.md as a user runs them, and what no script may do."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest

from image_retrieval.service import legacy
from integration.pictures import SCENES
from integration.service.conftest import TOKEN

DOCUMENT = Path(__file__).parents[3] / "docs" / "api.md"
SCRIPTS = re.findall(r"```(python|sh)\n(.*?)```", DOCUMENT.read_text().partition("## The older protocol")[2], re.DOTALL)
LIST = json.dumps({"function_name": "list", "function_params": {}})
COOKIE = {"Cookie": "_token=somebody's"}


@pytest.mark.parametrize(("language", "script"), SCRIPTS, ids=["requests", "urllib", "curl"])
def test_a_documented_script_does_what_it_says(language, script, address, tmp_path):
    if language == "sh" and shutil.which("curl") is None:
        pytest.skip("no curl is installed")
    for name, data in zip("ab", SCENES.values(), strict=False):
        (tmp_path / f"{name}.jpg").write_bytes(data)
    program = {"python": [sys.executable, "-c"], "sh": ["sh", "-ec"]}[language]
    done = subprocess.run(
        [*program, script.replace("http://127.0.0.1:8090", address)],
        cwd=tmp_path,
        env={**os.environ, "IMAGE_RETRIEVAL_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("['\"]success['\"]: ?[Ff]alse", done.stdout), done.stdout
    assert (
        len(re.findall("['\"]success['\"]: ?[Tt]rue", done.stdout))
        == {"requests": 11, "urllib": 1, "curl": 2}[
            "curl" if language == "sh" else "requests" if "requests" in script else "urllib"
        ]
    )
    assert "False" not in done.stdout


def posted(address, body, **headers):
    answer = httpx.post(f"{address}/api/predict/any", content=body, headers=headers, timeout=400)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "image/png", "odd", "application/json"]
)
def test_any_content_type_is_taken_with_a_token(address, kind):
    status, answer = posted(address, LIST, **{"Authorization": TOKEN, "Content-Type": kind})
    assert (status, answer["success"]) == (200, True), answer


@pytest.mark.parametrize(
    ("body", "headers", "told"),
    [
        (b"{", {}, "no_json"),
        (b"[]", {}, "not a JSON object"),
        (b"function_name=list", {}, "no_json"),
        (b'{"function_name": "list", "function_params": NaN}', {}, "NaN is not a number"),
        (b'{"function_name": "list", "function_name": "init"}', {}, "same name twice"),
        ('{"function_name": "é"}'.encode("latin-1"), {}, "not UTF-8"),
        (LIST.encode("utf-16"), {}, "not UTF-8"),
        (b"{}", {"Content-Encoding": "gzip"}, "send it unencoded"),
        (
            b'{"function_name": "db_set", "function_params": {"database_name": "things", "group_id": true}}',
            {},
            "group_id",
        ),
    ],
)
def test_a_body_that_is_none_is_told_in_that_protocols_form(address, body, headers, told):
    status, answer = posted(address, body, Authorization=TOKEN, **headers)
    assert (status, answer["success"], answer["info"]) == (200, False, {})
    assert told in answer["error_msg"]


@pytest.fixture
def group(client, served, monkeypatch):
    """A database with a group of more images than two pages; returns how many."""
    monkeypatch.setattr(legacy, "PAGE", 100)
    assert client.post("/api/collections", json={"name": "many"}).status_code == 201
    picture = base64.b64encode(next(iter(SCENES.values()))).decode()
    client.put("/api/collections/many/images/g/0", json={"base64": picture, "group_id": "g", "intra_id": "0"})
    copies = (
        "INSERT INTO retrieval.image (collection, image_id, uri, etag, size, last_modified, group_id, intra_id) "
        "SELECT collection, 'g/' || n, regexp_replace(uri, '[^/]*$', n || '.jpg'), etag, size, last_modified, 'g', n "
        "FROM retrieval.image, generate_series(1, %s) AS n WHERE collection = 'many'"
    )
    with psycopg.connect(served.database()) as connection:
        vectors = connection.execute(
            "SELECT 'vector_many_' || model FROM retrieval.collection WHERE name = 'many'"
        ).fetchone()[0]
        connection.execute(copies, [204])
        connection.execute(
            f"INSERT INTO retrieval.{vectors} (id, etag, digest, embedding) SELECT i.id, v.etag, v.digest, v.embedding "
            f"FROM retrieval.image AS i, retrieval.{vectors} AS v WHERE i.collection = 'many' AND i.id <> v.id"
        )
    yield 205
    client.delete("/api/collections/many")


def test_groups_of_any_size_are_whole(address, group):
    def call(function_name, **params):
        form = {"function_name": function_name, "function_params": {"database_name": "many", **params}}
        status, answer = posted(address, json.dumps(form), Authorization=TOKEN)
        assert (status, answer["success"]) == (200, True), answer
        return answer["info"]

    for found in (call("db_list"), call("db_get", group_id="g")):
        assert len({image["intra_id"] for image in found["images"]}) == len(found["images"]) == group
    last = str(group - 1)
    assert [image["intra_id"] for image in call("db_get", group_id="g", intra_id=last)["images"]] == [last]
    assert call("db_del", group_id="g", intra_id=last) == {"deleted": 1}
    assert call("db_del", group_id="g") == {"deleted": group - 1}
    assert call("db_list") == {"images": []}
