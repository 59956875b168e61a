"""What cannot be kept is refused at the door; what a table holds all the same harms nothing but its own place."""

import json
import os
import subprocess
import sys
import time

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from image_retrieval.pipeline.exporting import export_collection
from image_retrieval.store.collections import made_collections
from integration.pictures import SCENES
from integration.service.conftest import TOKEN, as_base64

FIRST, SECOND = map(as_base64, list(SCENES.values())[:2])
MADE = "/api/collections/odd"


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


@pytest.fixture(scope="module")
def odd(client):
    """A collection with the images `bad` and `good`."""
    assert client.post("/api/collections", json={"name": "odd"}).status_code == 201
    for image_id, picture in (("bad", FIRST), ("good", SECOND)):
        assert client.put(f"{MADE}/images/{image_id}", json={"base64": picture}).status_code == 200
    yield MADE
    assert client.delete(MADE).status_code == 204


@pytest.fixture
def change(served, odd):
    """Write something of the image `bad` by SQL, as the tables' owner may; taken back afterwards."""

    def write(assignment, *values):
        with psycopg.connect(served.database()) as connection:
            where = "WHERE collection = 'odd' AND image_id = 'bad'"
            connection.execute(f"UPDATE retrieval.image SET {assignment} {where}", values)

    yield write
    write("attributes = '{}', caption = NULL, first_seen = now(), updated = now(), captured_at = NULL")


def listings(client):
    """The rows that each listing shows, by the listing's name."""
    asked = {"collection": "odd", "min_score": -1}
    answers = {
        "images": client.get(f"{MADE}/images"),
        "search": client.post("/api/search", json={**asked, "images": [{"base64": FIRST}]}),
        "text": client.post("/api/search", json={**asked, "texts": [{"text": "a circle"}]}),
    }
    similar = client.post("/api/similar", json={**asked, "image_id": "good"})
    call = {"function_name": "db_list", "function_params": {"database_name": "odd"}}
    members = client.post("/api/predict/retrieval", json=call)
    for answer in (*answers.values(), similar, members):
        assert answer.status_code == 200, answer.text[:500]
    assert [row["image_id"] for row in similar.json()["results"]] == ["bad"]
    assert len(members.json()["info"]["images"]) == 2
    shown = {name: answer.json().get("images") or answer.json()["results"] for name, answer in answers.items()}
    assert all({row["image_id"] for row in rows} == {"bad", "good"} for rows in shown.values())
    return {name: {row["image_id"]: row for row in rows} for name, rows in shown.items()}


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        (nested(3000), "nested deeper"),
        (nested(51), "nested deeper"),
        ('{"a": ' + "1" * 10_000 + "}", "too large"),
        ('{"a": 1e400}', "too large"),
        (json.dumps({"a": "x" * 2**20}), "more than"),
        ('["a"]', "not a JSON object"),
        ('"a"', "not a JSON object"),
        ("null", "not a JSON object"),
    ],
)
def test_attributes_that_no_answer_can_show_hide_no_other_image(client, change, attributes, told):
    change("attributes = %s::jsonb", attributes)
    for rows in listings(client).values():
        assert told in rows["bad"]["unreadable"]["attributes"]
        assert rows["bad"]["attributes"] is None
        assert (rows["good"]["attributes"], rows["good"]["unreadable"]) == ({}, {})
    assert client.get(f"{MADE}/images/bad").json()["unreadable"]
    assert client.patch(f"{MADE}/images/bad", json={"caption": "red"}).status_code == 200
    assert client.patch(f"{MADE}/images/bad", json={"attributes": {}}).json()["unreadable"] == {}


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("infinity", "9999-12-31"),
        ("-infinity", "0001-01-01"),
        ("4000-01-01 BC", "0001-01-01"),
        ("0001-01-01 BC", "0001-01-01"),
        ("20000-01-01", "9999-12-31"),
    ],
)
def test_a_time_beyond_the_years_is_shown_as_the_nearest(client, change, moment, shown):
    change("first_seen = %s, updated = %s", moment, moment)
    rows = listings(client)["images"]
    assert rows["bad"]["created_at"].startswith(shown)
    assert rows["bad"]["updated_at"].startswith(shown)


def test_a_long_caption_is_cut_and_told(client, change):
    change("caption = repeat('é', 200000)")
    for rows in listings(client).values():
        assert len(rows["bad"]["caption"]) == 100_000
        assert "caption" in rows["bad"]["unreadable"]


def test_an_export_and_a_terminal_show_the_others(client, served, change, tmp_path):
    change("attributes = %s::jsonb, first_seen = 'infinity', updated = '4000-01-01 BC'", nested(3000))
    with psycopg.connect(served.database(), row_factory=dict_row) as connection:
        collection = made_collections(connection)["odd"]
    assert export_collection(collection, f"file://{tmp_path}/out/", served)["rows"] == 2
    command = [sys.executable, "-m", "image_retrieval.cli", "search", "odd", "--id", "good", "--json"]
    done = subprocess.run(command, env=os.environ | served.environment(), capture_output=True, text=True, check=True)
    (row,) = json.loads(done.stdout)["results"]
    assert (row["image_id"], row["attributes"]) == ("bad", None)
    assert "deeper" in row["unreadable"]["attributes"]


@pytest.mark.parametrize(
    "attributes",
    [
        nested(50),
        nested(3000),
        '{"a": "' + "x" * 2**16 + '"}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\u0000"}',
        "[]",
        "1",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_attributes_that_cannot_be_shown_are_refused_by_each_writer(client, odd, method, attributes):
    path = f"{MADE}/images" if method == "POST" else f"{MADE}/images/bad"
    picture = "" if method == "PATCH" else f'"base64": "{FIRST}", '
    body = f'{{{picture}"attributes": {attributes}}}'
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert listings(client)["images"]["bad"]["attributes"] == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("definition", {"id_pattern": "(?=a)(?P<group_id>a)"}),
        ("definition", {"something": "newer"}),
        ("definition", {"resample": {"method": "newer"}}),
    ],
)
def test_a_definition_of_another_version_is_shown_and_not_written_to(client, served, odd, column, value):
    with psycopg.connect(served.database()) as connection:
        (known,) = connection.execute("SELECT definition FROM retrieval.made_collection WHERE name = 'odd'").fetchone()
        write = "UPDATE retrieval.made_collection SET definition = %s WHERE name = 'odd'"
        connection.execute(write, [Jsonb(known | value)])
    try:
        assert {entry["name"] for entry in client.get("/api/collections").json()} >= {"odd", "things"}
        assert listings(client)
        refused = client.put(f"{MADE}/images/other", json={"base64": FIRST})
        assert (refused.status_code, refused.json()["code"]) == (409, "not_readable")
        assert next(iter(value)) in refused.json()["detail"]
    finally:
        with psycopg.connect(served.database()) as connection:
            connection.execute(write, [Jsonb(known)])


@pytest.mark.parametrize("broken", [f"'{nested(3000)}'", pytest.param("'[1]'", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE retrieval.made_collection SET definition = {} WHERE name = 'odd'",
        "UPDATE retrieval.collection SET definition = {} WHERE name = 'things'",
        "UPDATE retrieval.model SET calibration = {}",
    ],
)
def test_no_row_of_a_collection_hides_the_others(client, served, odd, statement, broken):
    tables = {"made_collection": "definition", "collection": "definition", "model": "calibration"}
    with psycopg.connect(served.database()) as connection:
        kept = {
            table: connection.execute(f"SELECT {column}::text, name FROM retrieval.{table}").fetchall()
            for table, column in tables.items()
        }
        connection.execute(statement.format(broken))
    try:
        time.sleep(1.1)  # for which a collection is taken to be what it was
        names = {entry["name"] for entry in client.get("/api/collections").json()}
        assert names >= {"odd", "things"}
        for name in names:
            answer = client.post("/api/search", json={"collection": name, "texts": [{"text": "a circle"}]})
            assert answer.status_code == 200, answer.text
        assert client.get("/api/stats").status_code == 200
    finally:
        with psycopg.connect(served.database()) as connection, connection.cursor() as cursor:
            for table, column in tables.items():
                cursor.executemany(f"UPDATE retrieval.{table} SET {column} = %s::jsonb WHERE name = %s", kept[table])


def test_a_pattern_of_nested_repeats_holds_nobody(client, address):
    name = {"name": "nested", "id_pattern": "^(?P<group_id>(a+)+)/$"}
    assert client.post("/api/collections", json=name).status_code == 201
    try:
        started = time.monotonic()
        image = {"image_id": "a" * 400, "base64": FIRST}
        answer = client.post("/api/collections/nested/images", json=image)
        assert answer.status_code in (201, 422), answer.text
        assert httpx.get(f"{address}/api/rights/write", headers={"Authorization": TOKEN}).status_code == 204
        assert time.monotonic() - started < 20
    finally:
        client.delete("/api/collections/nested")


@pytest.mark.parametrize("pattern", ["(?=a)(?P<group_id>a)", r"(?P<group_id>a)\1", "(?P<group_id>a", "x" * 501])
def test_a_pattern_that_is_not_linear_is_refused(client, pattern):
    answer = client.post("/api/collections", json={"name": "never", "id_pattern": pattern})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "\n" not in answer.json()["detail"]


@pytest.mark.parametrize(
    "image_id",
    [
        *("a" * 300, "é" * 130, "good.png/inner", "a?b#c", "\uffff"),
        *(
            pytest.param(image_id, marks=pytest.mark.slow)
            for image_id in (
                *(
                    "a" * 240,
                    "a" * 255,
                    "a" * 500,
                    "é" * 125,
                    "x/" * 200 + "y",
                    "good/inner",
                    "bad.jpg/inner",
                    "a.",
                    " a",
                ),
                *(
                    "a ",
                    "~" + "0" * 32,
                    "%2F",
                    "*",
                    "\ufffe",
                    "a\u2028b",
                    "é\u0301",
                    "😀",
                    "a\u202eb",
                    "\U0010ffff",
                    "<",
                ),
            )
        ),
    ],
)
def test_an_id_is_refused_or_its_image_is_there(client, odd, image_id):
    answer = client.post(f"{MADE}/images", json={"image_id": image_id, "base64": FIRST})
    assert answer.status_code in (201, 422), answer.text
    where = {"image_id": image_id}
    if answer.status_code == 201:
        assert client.get(f"{MADE}/picture", params={**where, "original": True}).status_code == 200
        assert client.get(f"{MADE}/picture", params=where).status_code == 200
        assert client.delete(f"{MADE}/image", params=where).status_code == 204
    else:
        assert "\n" not in answer.json()["detail"]
        assert client.get(f"{MADE}/image", params=where).status_code == 404
    listings(client)
