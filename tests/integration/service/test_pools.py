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
    try:
        until = time.monotonic() + 3 * SECONDS
        while not server.started:
            assert time.monotonic() < until
            time.sleep(0.1)
        # its model, and the processes for small and for large pictures, which may take more than a request's time
        for first in (
            {"texts": [{"text": "a red circle"}]},
            {"images": [{"base64": as_base64(small(0))}]},
            {"images": [{"base64": as_base64(large(0))}]},
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


def large(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (2500, 2000), shade).save(file, "PNG")
    return file.getvalue()


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


def test_a_request_that_is_too_late_is_a_503_and_its_decoder_is_gone(hurried):
    url, service = hurried
    with stopped_decoders(service) as decoders:
        with meanwhile(lambda: search(url, images=[{"base64": as_base64(large(1))}]), 1) as answers:
            assert search(url, images=[{"base64": as_base64(small(2))}]).status_code == 200
        [answer] = answers
        assert (answer.status_code, answer.json()["code"]) == (503, "too_slow")
        until(lambda: len(running(decoders)) == len(decoders) - 1)


def test_a_client_that_goes_away_takes_its_decoder_along(hurried):
    url, service = hurried
    body = f'{{"collection": "things", "images": [{{"base64": "{as_base64(large(2))}"}}]}}'.encode()
    head = f"POST /api/search HTTP/1.1\r\nHost: here\r\nAuthorization: {TOKEN}\r\nContent-Type: application/json\r\n"
    place = (httpx.URL(url).host, httpx.URL(url).port)
    with stopped_decoders(service) as decoders:
        with socket.create_connection(place, timeout=SECONDS) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            until(lambda: service._pictures._large._users == 1)
        until(lambda: len(running(decoders)) == len(decoders) - 1)


def test_a_statement_ends_with_its_request(hurried):
    _, service = hurried
    with service.statements() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == {"statement_timeout": "5s"}
        assert connection.execute("SHOW lock_timeout").fetchone() == {"lock_timeout": "5s"}
    with service.changing(), service.writing() as connection:
        assert connection.execute("SHOW lock_timeout").fetchone() == {"lock_timeout": "5s"}


@contextmanager
def stopped_decoders(service: Service) -> Iterator[list[psutil.Process]]:
    """The service's processes for large pictures, stopped for the block: a request for one is too late."""
    lane = service._pictures._large._decoders
    assert lane is not None
    until(lambda: all(waits(one.pid) for one in lane._all))
    decoders = [psutil.Process(one.pid) for one in lane._all]
    for decoder in decoders:
        decoder.suspend()
    try:
        yield decoders
    finally:
        for decoder in running(decoders):
            decoder.resume()


def waits(pid: int) -> bool:
    """Whether a process for large pictures has started and waits for one."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return (process.nice(), process.status()) == (19, psutil.STATUS_SLEEPING)
    return False


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
