"""The embedded services together: up, down, status."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dotenv import dotenv_values

from image_retrieval.errors import UserError
from image_retrieval.local import processes
from image_retrieval.local.postgres import start_postgres, stop_postgres
from image_retrieval.local.processes import HOST, free_port
from image_retrieval.local.seaweedfs import is_guarded, start_seaweedfs
from image_retrieval.private import close_to_others, keep_others_from_writing, open_private, write_private

BUCKETS = ("images", "image-retrieval")
FIRST_PORTS = {"postgres": 5433, "s3": 8333}
DATABASE = "image_retrieval"
# files and folders with secrets; if root starts the server, its folder belongs to another user
PRIVATE = ("secrets.env", "services.env", "ports.env", "airflow.env", "services.json", "airflow", "s3", "postgres")
SECRETS = ("POSTGRES_PASSWORD", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
Say = Callable[[str], None]


def up(folder: Path, say: Say) -> list[str]:
    """Start the services that are not running, and bring the schema up to date. Returns the names of those started.

    Raises UserError if one does not start; the services that this call has started are then stopped.
    """
    with _locked(folder):
        if not is_guarded(folder / "s3"):  # an older version may have started it
            _stop(folder, ("s3",))
        known = _records(folder)
        wanted = [name for name in FIRST_PORTS if not _is_whole(known.get(name))]
        keys = _secrets(folder)
        ports = {name: _port(folder, name) if name in wanted else int(known[name]["port"]) for name in FIRST_PORTS}
        if wanted:
            (folder / "services.env").unlink(missing_ok=True)  # written again when all services are ready
        try:
            for name in wanted:
                pid = _start(name, folder, ports[name], keys)
                processes.record(_file(folder), name, {"pid": pid, "port": ports[name]})
            if not (folder / "services.env").exists():
                _create_database(folder)
            _write_environment(folder, ports, keys)
        except BaseException:
            _stop(folder, tuple(wanted))
            raise
    for name in wanted:
        say(f"started {name} on {HOST}:{ports[name]}")
    return wanted


def _start(name: str, folder: Path, port: int, keys: dict[str, str]) -> int:
    if name == "postgres":
        return start_postgres(folder / name, port, keys["POSTGRES_PASSWORD"])
    return start_seaweedfs(folder / name, port, keys["S3_ACCESS_KEY_ID"], keys["S3_SECRET_ACCESS_KEY"], BUCKETS)


def down(folder: Path, say: Say, names: tuple[str, ...] = ("airflow", "s3", "postgres")) -> None:
    """Stop the running services of these names, and what a killed start has left of them."""
    if not folder.is_dir():
        return
    with _locked(folder):
        stopped = _stop(folder, names)
    for name in stopped:
        say(f"stopped {name}")


def _stop(folder: Path, names: tuple[str, ...]) -> list[str]:
    known = _records(folder)
    stopped = []
    for name in names:
        ran = stop_postgres(folder / name) if name == "postgres" else _end(folder / name, known.get(name))
        processes.forget(_file(folder), name)
        if ran:
            stopped.append(name)
    return stopped


def _end(folder: Path, facts: dict[str, Any] | None) -> bool:
    """Stop the recorded process, and unrecorded ones started for this folder. Returns whether any ran."""
    ran = processes.is_running(facts)
    if facts is not None:
        processes.stop(facts)
    return bool(processes.end_marked(str(folder))) or ran


def _is_whole(facts: dict[str, Any] | None) -> bool:
    """Whether a recorded service runs and its port is known."""
    return processes.is_running(facts) and "port" in (facts or {})


def status(folder: Path) -> dict[str, str]:
    """The state and address of each service."""
    known = _records(folder)
    return {
        name: f"runs on {HOST}:{known[name]['port']}" if _is_whole(known.get(name)) else "is down"
        for name in ("postgres", "s3", "airflow")
    }


def is_up(folder: Path, name: str) -> bool:
    """Whether a service of this folder runs."""
    return _is_whole(_records(folder).get(name))


def record(folder: Path, name: str, pid: int, port: int) -> None:
    """Record a service that runs under this folder, so that `down` stops it."""
    processes.record(_file(folder), name, {"pid": pid, "port": port})


def address(folder: Path, name: str) -> str:
    """host:port of a service of this folder. Raises UserError if it was not started."""
    facts = _records(folder).get(name)
    if facts is None or "port" not in facts:
        raise UserError(f"{name} is down: `make up` starts it")
    return f"{HOST}:{facts['port']}"


def database_url(folder: Path, database: str) -> str:
    """The URL of a database on the embedded server."""
    password = quote(_secrets(folder)["POSTGRES_PASSWORD"], safe="")
    return f"postgresql://postgres:{password}@{address(folder, 'postgres')}/{database}"


def _file(folder: Path) -> Path:
    return folder / "services.json"


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    return processes.records(_file(folder))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock these services against other commands. Turns errors of the system into UserError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_others_from_writing(folder)
        close_to_others(*(folder / name for name in PRIVATE))
        with os.fdopen(open_private(folder / "services.lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another command is starting or stopping the services under {folder}: wait until it is done"
                ) from None
            yield
    except OSError as error:
        place = error.filename or folder
        raise UserError(f"the services under {folder} cannot be managed: {place}: {error.strerror or error}") from None


def _port(folder: Path, name: str) -> int:
    """The port of the last start if it is free, so that addresses stay the same; else the next free one."""
    known = _values(folder / "ports.env").get(name, "")
    return free_port(int(known) if known.isascii() and known.isdigit() else FIRST_PORTS[name])


def _secrets(folder: Path) -> dict[str, str]:
    """The password and keys, generated once. Raises UserError if they are lost while a database still uses them."""
    path = folder / "secrets.env"
    known = _values(path)
    if all(known.get(name) for name in SECRETS):
        return known
    if (folder / "postgres" / "data").exists():
        raise UserError(f"{path} lacks the password of the database beside it: restore the file, or remove {folder}")
    made = {name: secrets.token_hex(16) for name in SECRETS}
    _write(path, made)
    return made


def _write_environment(folder: Path, ports: dict[str, int], keys: dict[str, str]) -> None:
    values = {
        "DATABASE_URL": database_url(folder, DATABASE),
        "S3_ENDPOINT_URL": f"http://{HOST}:{ports['s3']}",
        "S3_ACCESS_KEY_ID": keys["S3_ACCESS_KEY_ID"],
        "S3_SECRET_ACCESS_KEY": keys["S3_SECRET_ACCESS_KEY"],
    }
    _write(folder / "services.env", {f"IMAGE_RETRIEVAL_{name}": value for name, value in values.items()})
    _write(folder / "ports.env", {name: str(value) for name, value in ports.items()})


def _values(path: Path) -> dict[str, str]:
    """The variables in a file; empty if it is missing or not text."""
    try:
        return {name: value or "" for name, value in dotenv_values(path).items()}
    except UnicodeError:
        return {}


def _write(path: Path, values: dict[str, str]) -> None:
    write_private(path, "".join(f"{name}={value}\n" for name, value in values.items()))


def _create_database(folder: Path) -> None:
    from pydantic import SecretStr

    from image_retrieval.settings import Settings
    from image_retrieval.store.databases import create_databases
    from image_retrieval.store.failures import DatabaseError
    from image_retrieval.store.migrate import migrate

    try:
        create_databases(database_url(folder, "postgres"), [DATABASE, "airflow"])
    except DatabaseError as error:
        said = " ".join(str(error).split())[:300]
        raise UserError(f"the embedded PostgreSQL failed: {said}; see {folder / 'postgres' / 'log'}") from None
    migrate(Settings(database_url=SecretStr(database_url(folder, DATABASE))))
