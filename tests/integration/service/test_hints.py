"""Events come in over HTTP, from senders that have a token for hints alone."""

import json
import subprocess

import pytest

from image_retrieval.pipeline.running import run_collection
from integration.pictures import SCENES
from integration.service.conftest import HINTS_TOKEN, TOKEN
from integration.tables import rows


def sent(address, body, token=HINTS_TOKEN, path="/api/hints"):
    """Status and answer, with curl as the sender."""
    head = f"Authorization: Bearer {token}"
    command = ["curl", "-s", "-w", "\n%{http_code}", "-H", head, "-H", "Content-Type: application/json", "-d", "@-"]
    done = subprocess.run(
        [*command, address + path], input=json.dumps(body), capture_output=True, text=True, check=True
    )
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(answer)


def test_an_event_is_taken_and_the_next_run_looks(address, served, things):
    uri = things.source + next(iter(SCENES))
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    event = {
        "EventName": "s3:ObjectCreated:Put",
        "Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}}],
    }
    assert sent(address, event) == (202, {"accepted": 1, "ignored": 0})
    assert sent(address, {"uris": [uri, "s3://elsewhere/a.png"]}) == (202, {"accepted": 1, "ignored": 1})
    url = served.database_url.get_secret_value()
    assert rows(url, "SELECT collection, uri FROM retrieval.hint") == [("things", uri)]
    report = run_collection(things, "hinted over HTTP", served, hinted=True)
    assert (report["listed"], report["new"], report["changed"]) == (1, 0, 0)
    assert rows(url, "SELECT FROM retrieval.hint") == []


def test_a_body_that_is_no_event_hints_at_nothing(address):
    assert sent(address, {"Event": "s3:TestEvent"}) == (202, {"accepted": 0, "ignored": 0})
    assert sent(address, [1, None, "text"]) == (202, {"accepted": 0, "ignored": 0})


@pytest.mark.parametrize(("token", "status"), [("wrong-token-of-nobody", 401), (TOKEN, 202)])
def test_a_sender_needs_a_token(address, token, status):
    assert sent(address, {"uris": []}, token)[0] == status


@pytest.mark.parametrize("path", ["/api/search", "/api/collections", "/api/predict/img_match"])
def test_the_token_for_hints_allows_nothing_else(address, path):
    assert sent(address, {}, path=path)[0] == 401
