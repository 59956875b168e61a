"""The embedded services as one: up, down, status."""

import fcntl
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from image_retrieval.errors import UserError
from image_retrieval.local import processes
from image_retrieval.local.postgres import start_postgres, stop_postgres
from image_retrieval.local.processes import HOST, free_port
from image_retrieval.local.seaweedfs import start_seaweedfs

BUCKETS = ("images", "image-retrieval")
FIRST_PORTS = {"postgres": 5433, "s3": 8333}
DATABASE = "image_retrieval"
Say = Callable[[str], None]


def up(folder: Path, say: Say) -> list[str]:
    """Start what does not run yet, and bring the schema up to date. Returns the names of what was started."""
    with _locked(folder):
        known = _records(folder)
        wanted = [name for name in FIRST_PORTS if not processes.is_running(known.get(name))]
        keys = _secrets(folder)
        ports = {name: _port(folder, name) if name in wanted else int(known[name]["port"]) for name in FIRST_PORTS}
        try:
            for name in wanted:
                processes.record(
                    _file(folder), name, {"pid": _start(name, folder, ports[name], keys)} | {"port": ports[name]}
                )
            _write_environment(folder, ports, keys)
            if wanted:
                _create_database(folder)
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
    """Stop what runs, of these names."""
    if not folder.is_dir():
        return
    with _locked(folder):
        stopped = _stop(folder, names)
    for name in stopped:
        say(f"stopped {name}")


def _stop(folder: Path, names: tuple[str, ...]) -> list[str]:
    known = _records(folder)
    running = [name for name in names if processes.is_running(known.get(name))]
    for name in running:
        if name == "postgres":
            stop_postgres(folder / name)
        else:
            processes.stop(known[name])
    for name in names:
        processes.forget(_file(folder), name)
    return running


def status(folder: Path) -> dict[str, str]:
    """Each service and where it runs."""
    known = _records(folder)
    return {
        name: f"runs on {HOST}:{known[name]['port']}" if processes.is_running(known.get(name)) else "is down"
        for name in ("postgres", "s3", "airflow")
    }


def is_up(folder: Path, name: str) -> bool:
    """Whether a service of this folder runs."""
    return processes.is_running(_records(folder).get(name))


def record(folder: Path, name: str, pid: int, port: int) -> None:
    """Note a service that runs under this folder, so that `down` stops it."""
    processes.record(_file(folder), name, {"pid": pid, "port": port})


def address(folder: Path, name: str) -> str:
    """host:port of a service of this folder."""
    return f"{HOST}:{_records(folder)[name]['port']}"


def database_url(folder: Path, database: str) -> str:
    """The URL of a database on the embedded server."""
    password = _secrets(folder)["POSTGRES_PASSWORD"]
    return f"postgresql://postgres:{password}@{address(folder, 'postgres')}/{database}"


def _file(folder: Path) -> Path:
    return folder / "services.json"


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    return processes.records(_file(folder))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "services.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another command is starting or stopping the services under {folder}: wait for it"
            ) from None
        yield


def _port(folder: Path, name: str) -> int:
    """The port of the last time where it is free, so that addresses stay; else the next free one."""
    known = dotenv_values(folder / "ports.env").get(name)
    return free_port(int(known) if known else FIRST_PORTS[name])


def _secrets(folder: Path) -> dict[str, str]:
    path = folder / "secrets.env"
    if not path.is_file():
        names = ("POSTGRES_PASSWORD", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
        _write_private(path, {name: secrets.token_hex(16) for name in names})
    return {name: value or "" for name, value in dotenv_values(path).items()}


def _write_environment(folder: Path, ports: dict[str, int], keys: dict[str, str]) -> None:
    password, port = keys["POSTGRES_PASSWORD"], ports["postgres"]
    values = {
        "DATABASE_URL": f"postgresql://postgres:{password}@{HOST}:{port}/{DATABASE}",
        "S3_ENDPOINT_URL": f"http://{HOST}:{ports['s3']}",
        "S3_ACCESS_KEY_ID": keys["S3_ACCESS_KEY_ID"],
        "S3_SECRET_ACCESS_KEY": keys["S3_SECRET_ACCESS_KEY"],
    }
    _write_private(folder / "services.env", {f"IMAGE_RETRIEVAL_{name}": value for name, value in values.items()})
    _write_private(folder / "ports.env", {name: str(value) for name, value in ports.items()})


def _write_private(path: Path, values: dict[str, str]) -> None:
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def _create_database(folder: Path) -> None:
    import psycopg
    from psycopg import sql
    from pydantic import SecretStr

    from image_retrieval.settings import Settings
    from image_retrieval.store.schema import migrate

    with psycopg.connect(database_url(folder, "postgres"), autocommit=True) as connection:
        for name in (DATABASE, "airflow"):
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(Settings(database_url=SecretStr(database_url(folder, DATABASE))))
