"""One user cannot slow another: what waits does so in bounded pools, and in the request's own time."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import uvicorn
from PIL import Image

from image_retrieval.imaging.effort import MOST_SCANS
from image_retrieval.service.standalone import app_alone
from image_retrieval.service.state import FETCHES, WRITERS, Service
from image_retrieval.settings import Settings
from integration.service.conftest import TOKEN, as_base64

LOCK = "SELECT pg_advisory_lock(hashtextextended('image_retrieval:things', 0))"
SECONDS = 60  # within which what must happen has happened, on however busy a machine
HEAD = {"Authorization": TOKEN}


@pytest.fixture(scope="module")
def hurried(served: Settings, client: httpx.Client) -> Iterator[tuple[str, Service]]:
    """Another service of the same project, whose requests have four seconds: its address, and what they share."""
    app = app_alone(served.model_copy(update={"service_seconds": 4.0, "allow_private_urls": True, "processes": 1}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    large = io.BytesIO()
    Image.new("L", (2500, 2000)).save(large, "PNG")
    try:
        until = time.monotonic() + 3 * SECONDS
        while not server.started:
            assert time.monotonic() < until
            time.sleep(0.1)
        # its model, and the processes for small and for large pictures, which may take more than a request's time
        for first in (
            {"texts": [{"text": "a red circle"}]},
            {"images": [{"base64": as_base64(small(0))}]},
            {"images": [{"base64": as_base64(large.getvalue())}]},
        ):
            while search(url, **first).status_code != 200:
                assert time.monotonic() < until
                time.sleep(0.1)
        yield url, app.state.service
    finally:
        server.should_exit = True
        thread.join()
        app.state.service.close()


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg"


def search(url: str, **form: Any) -> httpx.Response:
    return httpx.post(f"{url}/api/search", json={"collection": "things", **form}, headers=HEAD, timeout=SECONDS)


def small(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def slow_picture() -> bytes:
    """A progressive JPEG within all limits that takes seconds to decode."""
    file = io.BytesIO()
    Image.new("L", (5400, 5400), 128).save(file, "JPEG", progressive=True, quality=50)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (MOST_SCANS - data.count(b"\xff\xda")) + data[-2:]


@contextmanager
def meanwhile(work: Callable[[], httpx.Response], count: int) -> Iterator[list[Any]]:
    """So many at once while the block runs; after it their answers are in the list."""
    answers: list[Any] = []
    with ThreadPoolExecutor(count) as pool:
        sent = [pool.submit(work) for _ in range(count)]
        yield sent
        answers.extend(one.result() for one in sent)
    sent[:] = answers


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_silent_urls_take_their_own_places_only(hurried, silent):
    url, service = hurried
    started = time.monotonic()
    with meanwhile(lambda: search(url, images=[{"url": silent}]), 3 * FETCHES) as answers:
        until(lambda: service._fetching.waiting() > 0)
        assert search(url, texts=[{"text": "a red circle"}]).status_code == 200
        assert search(url, images=[{"base64": as_base64(small(1))}]).status_code == 200
    assert time.monotonic() - started < SECONDS
    codes = {(answer.status_code, answer.json()["code"]) for answer in answers}
    assert codes == {(503, "busy"), (503, "too_slow")}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)


def test_who_waits_for_a_lock_keeps_nobody_from_reading(hurried, served):
    url, service = hurried

    def delete() -> httpx.Response:
        path = f"{url}/api/collections/things/images/a-red/a"
        return httpx.delete(path, headers=HEAD, timeout=SECONDS)

    with psycopg.connect(served.database(), autocommit=True) as holder:
        holder.execute(LOCK)
        with meanwhile(delete, 3 * WRITERS) as answers:
            until(lambda: service._changing.waiting() > 0)
            assert search(url, texts=[{"text": "a red circle"}]).status_code == 200
            assert httpx.get(f"{url}/api/collections/things/images", headers=HEAD).status_code == 200
            assert service._changing.waiting() > 0
            holder.execute(LOCK.replace("lock(", "unlock("))
    assert {answer.status_code for answer in answers} <= {404, 503}


def test_a_request_that_is_too_late_is_a_503_and_its_decoder_is_gone(hurried, slow_picture):
    url, _ = hurried
    with meanwhile(lambda: search(url, images=[{"base64": as_base64(slow_picture)}]), 1) as answers:
        busy = decoder_at_work()
        busy.suspend()  # so that it is too late on however fast a machine
        assert search(url, images=[{"base64": as_base64(small(2))}]).status_code == 200
    [answer] = answers
    assert (answer.status_code, answer.json()["code"]) == (503, "too_slow")
    until(lambda: not busy.is_running())


def test_a_client_that_goes_away_takes_its_decoder_along(hurried, slow_picture):
    url, _ = hurried
    body = f'{{"collection": "things", "images": [{{"base64": "{as_base64(slow_picture)}"}}]}}'.encode()
    head = f"POST /api/search HTTP/1.1\r\nHost: here\r\nAuthorization: {TOKEN}\r\nContent-Type: application/json\r\n"
    place = (httpx.URL(url).host, httpx.URL(url).port)
    with socket.create_connection(place, timeout=SECONDS) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        busy = decoder_at_work()
        busy.suspend()
    until(lambda: not busy.is_running())


def test_a_statement_ends_with_its_request(hurried):
    _, service = hurried
    with service.statements() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == {"statement_timeout": "5s"}
        assert connection.execute("SHOW lock_timeout").fetchone() == {"lock_timeout": "5s"}
    with service.changing(), service.writing() as connection:
        assert connection.execute("SHOW lock_timeout").fetchone() == {"lock_timeout": "5s"}


def decoder_at_work() -> psutil.Process:
    """A process for large pictures that decodes one; waited for."""
    end = time.monotonic() + SECONDS
    before: dict[int, float] = {}
    while time.monotonic() < end:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "image_retrieval.imaging.worker" in process.cmdline() and process.nice() == 19:
                    used = process.cpu_times().user
                    if used > before.setdefault(process.pid, used):
                        return process
        time.sleep(0.05)
    raise AssertionError("no decoder is at work")
