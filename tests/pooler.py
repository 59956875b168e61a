"""PgBouncer of the system, in transaction mode, before the suite's PostgreSQL."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from image_retrieval.local.postgres import ACCOUNT
from image_retrieval.local.processes import HOST, free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIGURATION = """
[databases]
* = host={host} port={server_port} user={user} password={password}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
"""


@contextmanager
def pooled(url: str, folder: Path) -> Iterator[str]:
    """The URL of the same database behind a PgBouncer of its own, which ends with the block."""
    assert PROGRAM is not None
    server, port = urlsplit(url), free_port(6432)
    facts = {"host": HOST, "server_port": server.port, "user": server.username, "password": server.password}
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(CONFIGURATION.format(port=port, **facts))
    as_account: dict[str, Any] = {}
    if os.geteuid() == 0:  # it does not run as root either
        as_account = {"user": ACCOUNT, "group": pwd.getpwnam(ACCOUNT).pw_gid, "extra_groups": []}
    with (folder / "pgbouncer.log").open("w") as log, configuration.open() as given:
        command = [PROGRAM, "/dev/stdin"]  # that account may not read the folder
        process = subprocess.Popen(command, stdin=given, stdout=log, stderr=log, **as_account)
    try:
        yield _answering(f"{server.scheme}://{server.username}@{HOST}:{port}{server.path}", process, folder)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answering(url: str, process: subprocess.Popen[bytes], folder: Path) -> str:
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
            return url
        except psycopg.OperationalError:
            assert process.poll() is None, (folder / "pgbouncer.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
