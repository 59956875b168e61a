"""Whatever happens to a start of the embedded services, the next command stops or starts them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from image_retrieval.errors import UserError
from image_retrieval.local import processes, services
from image_retrieval.local.postgres import start_postgres, stop_postgres
from image_retrieval.settings import Settings
from image_retrieval.store.connection import require_reachable

PASSWORD = "a password'with:odd/letters"
DEAD_PROXY = "http://127.0.0.1:9"


@contextmanager
def made_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach, whatever another pytest does to the folder that they share."""
    folder = Path(tempfile.mkdtemp(prefix="image-retrieval-tests-"))
    try:
        yield folder
    finally:
        services.down(folder, lambda line: None)
        shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    with made_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """The folder of a PostgreSQL that is made, and down."""
    with made_folder() as folder:
        yield made_server(folder / "postgres")


def made_server(folder: Path) -> Path:
    partial = folder / "data.partial"  # of a start that was killed while it made this
    partial.mkdir(parents=True)
    (partial / "PG_VERSION").write_text("18")
    start_postgres(folder, processes.free_port(5600), PASSWORD)
    stop_postgres(folder)
    return folder


def ours(folder: Path) -> list[str]:
    """What still runs of a folder's services."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.cwd() or str(folder) in process.environ().get(processes.MARK, ""):
                found.append(process.name())
        except (psutil.Error, OSError):
            continue
    return found


def killed_when(ready: Callable[[], bool], folder: Path) -> None:
    """Start the services as a user does, a dead proxy before them, and kill the command at that moment."""
    environment = os.environ | {"IMAGE_RETRIEVAL_LOCAL_DIR": str(folder), "HTTP_PROXY": DEAD_PROXY}
    command = [sys.executable, "-m", "image_retrieval.cli", "services", "up"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as started:
        until = time.monotonic() + 60
        while not ready():
            assert started.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
        started.send_signal(signal.SIGKILL)


@pytest.mark.slow
def test_a_start_that_is_killed_anywhere_can_be_done_again(folder, monkeypatch):
    killed_when((folder / "postgres" / "data" / "postmaster.pid").exists, folder)
    killed_when(lambda: {"postgres", "weed"} <= set(ours(folder)), folder)
    monkeypatch.setenv("HTTP_PROXY", DEAD_PROXY)
    assert services.up(folder, lambda line: None) == ["s3"]  # the server had been noted
    require_reachable(Settings(database_url=services.database_url(folder, services.DATABASE)))
    place = services.address(folder, "s3")
    shutil.rmtree(folder / "s3" / "certificate")  # as a store that an older version started and that still runs
    assert (services.up(folder, lambda line: None), services.address(folder, "s3")) == (["s3"], place)
    for name in ("services.json", "ports.env", "services.env"):
        (folder / name).write_bytes(b"\xff{broken")
    told: list[str] = []
    services.down(folder, told.append)
    assert told == ["stopped s3", "stopped postgres"]
    assert ours(folder) == []


def test_a_service_that_does_not_start_takes_the_others_down_again(folder, server):
    (folder / "s3").write_text("no folder")
    with pytest.raises(UserError, match=rf"^the services under {folder} cannot be managed: [^\n]*s3[^\n]*$"):
        services.up(folder, lambda line: None)
    assert services.status(folder)["postgres"] == "is down"
    assert ours(folder) == []


@pytest.mark.parametrize("stale", [f"{os.getpid()}\n/nowhere\n", ""], ids=["of another process", "empty"])
def test_a_lock_that_a_crash_left_does_not_matter(server, stale):
    (server / "data" / "postmaster.pid").write_text(stale)
    port = processes.free_port(5600)
    pid = start_postgres(server, port, PASSWORD)
    psutil.Process(pid).kill()
    assert start_postgres(server, port, PASSWORD) != pid  # also with what the killed one left
    assert stop_postgres(server)
    assert not stop_postgres(server)


def test_a_taken_port_is_told_with_the_log(server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = rf"^the embedded PostgreSQL does not start: [^\n]*; see {server / 'log'}$"
        with pytest.raises(UserError, match=told) as refused:
            start_postgres(server, taken.getsockname()[1], PASSWORD)
    assert "FATAL" in str(refused.value)
    assert ours(server) == []


def test_a_data_folder_that_is_no_database_is_told(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "photo.jpg").touch()
    with pytest.raises(UserError, match=rf"^{tmp_path / 'data'} contains files, but no database: move it away$"):
        start_postgres(tmp_path, 5600, PASSWORD)


def test_a_damaged_database_is_told_with_the_log(server):
    control = server / "data" / "global" / "pg_control"
    whole = control.read_bytes()
    try:
        control.write_bytes(b"")
        with pytest.raises(UserError, match=rf"^the embedded PostgreSQL does not start: [^\n]*; see {server / 'log'}$"):
            start_postgres(server, processes.free_port(5600), PASSWORD)
    finally:
        control.write_bytes(whole)
    assert ours(server) == []


def test_lost_secrets_are_told_while_a_database_needs_them(folder):
    (folder / "postgres" / "data").mkdir(parents=True)
    (folder / "secrets.env").write_bytes(b"POSTGRES_PASSWORD=\xff")
    with pytest.raises(UserError, match=rf"^{folder / 'secrets.env'} lacks the password of the database[^\n]*$"):
        services.up(folder, lambda line: None)


def test_an_odd_password_of_ones_own_opens_the_embedded_server(folder, server):
    keys = {"S3_ACCESS_KEY_ID": "key", "S3_SECRET_ACCESS_KEY": "secret", "POSTGRES_PASSWORD": f'"{PASSWORD}"'}
    (folder / "secrets.env").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))
    port = processes.free_port(5600)
    processes.record(folder / "services.json", "postgres", {"pid": os.getpid(), "port": port})
    start_postgres(server, port, PASSWORD)
    try:
        require_reachable(Settings(database_url=services.database_url(folder, "postgres")))
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(services.database_url(folder, "no_such_database"))
    finally:
        processes.forget(folder / "services.json", "postgres")
        stop_postgres(server)


def test_a_place_that_is_no_folder_is_told(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError, match=rf"^the services under {file} cannot be managed: [^\n]*$"):
        services.up(file, lambda line: None)


def test_what_is_not_there_has_no_address(tmp_path):
    with pytest.raises(UserError, match=r"^airflow is down: `make up` starts it$"):
        services.address(tmp_path, "airflow")
