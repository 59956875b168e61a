"""Processes that outlive the command that starts them: their ports, their records, and stopping them.

A program's environment also holds a mark, so that it and its descendants are found even if the command that started
them was killed before it recorded them.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from image_retrieval.errors import UserError
from image_retrieval.private import open_private, open_private_folder, write_private
from image_retrieval.proxies import spare_loopback

HOST = "127.0.0.1"
GRACE_SECONDS = 15
MARK = "IMAGE_RETRIEVAL_SERVICE"  # variable that marks processes started here with their service's folder
TAIL = 20_000  # bytes at the end of a log in which its last line is searched
_claims: dict[int, int] = {}  # open lock files by port


def free_port(wanted: int, taken: frozenset[int] = frozenset()) -> int:
    """The wanted port, or the next free one above it.

    Until this process ends, no other process of this user gets the port, even while nothing listens there.
    """
    for port in range(wanted, min(wanted + 500, 65536)):
        if port not in taken and _claim(port) and _is_free(port):
            return port
    raise UserError(f"no free port on {HOST} from {wanted} on: stop a program that listens there")


def _claim(port: int) -> bool:
    """Claim a port for this process. Returns False if another process has claimed it."""
    if port not in _claims:
        folder = open_private_folder(Path(tempfile.gettempdir(), f"image-retrieval-ports-{os.geteuid()}"))
        try:
            file = os.open(str(port), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        _claims[port] = file
    return True


def _is_free(port: int) -> bool:
    """Whether nothing listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def start(command: list[str], log: Path, environment: Mapping[str, str], folder: Path, mark: str = "") -> int:
    """Start a program in a session of its own, with its output in a log file. Returns its process id.

    `end_marked` finds the program by `mark`. It does not use the environment's proxies for loopback.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = {**os.environ, **environment, MARK: mark}
    spare_loopback(values)
    with os.fdopen(open_private(log), "ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=values,
            cwd=folder,
            start_new_session=True,
            umask=0o077,  # logs and files hold passwords
        )
    process.returncode = 0  # the program outlives this command, so nobody waits for it
    return process.pid


def wait_until(ready: Callable[[], bool], what: str, seconds: float, log: Path, pid: int | None = None) -> None:
    """Wait until `ready`. Raises UserError with the log's last line if that takes too long or the process ends."""
    end = time.monotonic() + seconds
    while not ready():
        ended = pid is not None and not is_running({"pid": pid, "started": None})
        if ended or time.monotonic() > end:
            how = "ended while it started" if ended else f"was not ready after {seconds:.0f} seconds"
            raise UserError(f"{what} {how}: {last_line(log) or 'its log is empty'}; see {log}")
        time.sleep(0.1)


def last_line(log: Path, *words: str, since: int = 0) -> str:
    """The last line of a log after its first `since` bytes; if any line has one of the words, the last such line."""
    if not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(since, log.stat().st_size - TAIL))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    telling = [line for line in lines if any(word in line for word in words)] or lines
    return "".join(letter if letter.isprintable() else " " for letter in telling[-1])[:500].strip() if telling else ""


def record(path: Path, name: str, facts: dict[str, Any]) -> None:
    """Record a started process (`pid`, and other facts), so that a later command can find and stop it."""
    try:
        began = psutil.Process(facts["pid"]).create_time()
    except psutil.NoSuchProcess:  # it has already ended
        began = 0.0
    write_private(path, json.dumps(records(path) | {name: {**facts, "started": began}}, indent=2))


def forget(path: Path, name: str) -> None:
    """Remove a process from the records."""
    write_private(path, json.dumps({known: facts for known, facts in records(path).items() if known != name}, indent=2))


def records(path: Path) -> dict[str, dict[str, Any]]:
    """The records by name; empty if the file is missing or broken, since processes are also found by their mark."""
    try:
        loaded = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError:
        loaded = {}
    found = loaded.items() if isinstance(loaded, dict) else ()
    return {name: facts for name, facts in found if isinstance(facts, dict) and {"pid", "started"} <= facts.keys()}


def is_running(facts: dict[str, Any] | None) -> bool:
    """Whether a recorded process still runs; the id alone may belong to another process by now."""
    if facts is None:
        return False
    try:
        process = psutil.Process(facts["pid"])
        same = facts["started"] is None or abs(process.create_time() - facts["started"]) < 2
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def stop(facts: dict[str, Any], first: signal.Signals = signal.SIGTERM) -> None:
    """Stop a recorded process and its descendants: ask first, and kill after a grace time."""
    if not is_running(facts):
        return
    try:
        parent = psutil.Process(facts["pid"])
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    _signal(parent, first)
    psutil.wait_procs([parent], timeout=GRACE_SECONDS)
    _end([process for process in family if process.is_running()])


def end_marked(mark: str) -> int:
    """Stop all processes started with this mark, and their descendants. Returns how many there were."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
    _end(found)
    return len(found)


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=5)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
