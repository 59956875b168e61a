"""What an error means for a client: enough to act on, and nothing of the machine."""

import json

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import StreamingResponse

from image_retrieval import logs
from image_retrieval.errors import ImageRejected, Reason, Unavailable, UserError
from image_retrieval.objects import NameUnsupported, StoreUnavailable
from image_retrieval.service.errors import refusal_of, tell_errors
from image_retrieval.store.failures import DatabaseUnavailable

INNER = ["/srv/project", "inner-host", "10.0.0.7", "planted", "SELECT"]


@pytest.mark.parametrize(
    ("error", "status", "kept"),
    [
        (
            UserError("/srv/project/include/collections.yaml: line 3: demo.glob: unknown key"),
            422,
            "collections.yaml: line 3",
        ),
        (UserError("model folder '/srv/project/models/dual' has no config.json"), 422, "dual' has no config.json"),
        (UserError("database 'x' on inner-host:5432 has no tables of image-retrieval yet"), 422, "has no tables"),
        (UserError("s3://images/demo/a.txt matches none of the globs"), 422, "s3://images/demo/a.txt matches"),
        (Unavailable("model 'dual' does not start: its process ended with 9"), 503, "does not start"),
        (DatabaseUnavailable("database 'planted' on inner-host:5432 does not answer: SELECT 1"), 503, "the database"),
        (StoreUnavailable("the object store at http://10.0.0.7:8333 fails at s3://planted/x"), 503, "the object store"),
        (
            NameUnsupported("/srv/project/in/a.jpg cannot be written: File name too long"),
            422,
            "…/a.jpg cannot be written",
        ),
        (
            ImageRejected(Reason.UNREACHABLE, "'http://host:81/a/b.jpg' does not answer"),
            422,
            "'http://host:81/a/b.jpg'",
        ),
        (psycopg.OperationalError("connection to server at inner-host, user planted failed"), 503, "the database"),
        (psycopg.errors.SyntaxError("syntax error at SELECT planted"), 500, "its log has the details"),
        (RuntimeError("planted in /srv/project"), 500, "its log has the details"),
    ],
)
def test_an_answer_tells_what_a_client_can_use(error, status, kept):
    refused = refusal_of(error)
    assert (refused.status, kept in refused.detail) == (status, True), refused.detail
    assert not [word for word in INNER if word in refused.detail]


def failing() -> FastAPI:
    app = FastAPI()
    tell_errors(app)

    @app.get("/fails")
    def fails() -> None:
        raise RuntimeError("planted\n" + "x" * 10**7)

    @app.get("/breaks")
    def breaks() -> StreamingResponse:
        def parts():
            yield "begun"
            raise RuntimeError("planted")

        return StreamingResponse(parts())

    return app


def errors_in(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of errors in the log; other libraries may log requests."""
    return [line for line in capsys.readouterr().err.splitlines() if json.loads(line)["level"] == "error"]


def test_no_error_leaves_the_application(capsys):
    logs.configure("json")
    client = TestClient(failing())  # raises what leaves it
    answer = client.get("/fails")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "planted" not in answer.text
    (line,) = errors_in(capsys)
    told = json.loads(line)
    assert (told["event"], told["error"], told["level"]) == ("failed", "RuntimeError", "error")
    assert told["where"].endswith(" fails")
    assert len(line) < 4 * logs.LONGEST


def test_an_answer_that_breaks_off_is_one_line(capsys):
    logs.configure("json")
    assert TestClient(failing()).get("/breaks").text == "begun"
    (line,) = errors_in(capsys)
    assert json.loads(line)["text"] == "planted"


def test_an_error_is_answered_without_a_thread(monkeypatch):
    """In Airflow the threads of the event loop are Airflow's own."""

    async def taken(*_: object, **__: object) -> None:
        raise AssertionError("a thread of the event loop was taken")

    app = FastAPI()
    tell_errors(app)

    @app.get("/refused")
    async def refused() -> None:
        raise UserError("not so")

    monkeypatch.setattr("starlette._exception_handler.run_in_threadpool", taken)
    client = TestClient(app)
    assert client.get("/refused").json()["detail"] == "not so"
    assert client.get("/nowhere").status_code == 404
