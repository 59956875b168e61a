import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from image_retrieval.errors import UserError
from image_retrieval.local.processes import (
    HOST,
    forget,
    free_port,
    is_running,
    record,
    records,
    start,
    stop,
    wait_until,
)

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "log"


@pytest.fixture
def started() -> Iterator[list[int]]:
    """Ids of processes that end with the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        stop({"pid": pid, "started": None}, signal.SIGKILL)


def run(started: list[int], command: list[str], log: Path, **environment: str) -> int:
    started.append(start(command, log, environment, log.parents[1]))
    return started[-1]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_free_port_is_taken_as_it_is(taken):
    port = free_port(taken)
    assert free_port(port) == port


def test_a_port_on_which_something_listens_is_stepped_over(taken):
    assert free_port(taken) > taken


def test_a_port_that_is_promised_is_stepped_over(taken):
    port = free_port(taken)
    assert free_port(port, frozenset({port})) > port


def test_a_port_that_another_process_was_given_is_stepped_over(taken):
    give = f"from image_retrieval.local.processes import free_port; print(free_port({taken}), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", give], stdin=PIPE, stdout=PIPE, text=True) as other:
        port = int(other.stdout.readline())
        assert free_port(port) > port
        other.communicate("\n")
    assert free_port(port) == port


@pytest.mark.parametrize("wanted", [65536, 70000])
def test_no_port_is_left_beyond_the_last(wanted):
    with pytest.raises(UserError, match=f"no free port on {HOST} from {wanted}"):
        free_port(wanted)


def test_a_started_process_runs_in_its_folder_with_its_log(started, log, tmp_path):
    script = "import os; print(os.getcwd(), os.environ['GREETING'], os.getsid(0) == os.getpid())"
    pid = run(started, [sys.executable, "-c", script], log, GREETING="hello")
    psutil.wait_procs([psutil.Process(pid)], timeout=30)
    assert log.read_text() == f"{tmp_path} hello True\n"


def test_a_recorded_process_is_found_and_stopped(started, log, tmp_path):
    path = tmp_path / "records.json"
    pid = run(started, SLEEP, log)
    record(path, "sleeper", {"pid": pid, "port": 1})
    facts = records(path)["sleeper"]
    assert (facts["pid"], facts["port"]) == (pid, 1)
    assert is_running(facts)
    stop(facts)
    assert not is_running(facts)
    stop(facts)


def test_records_are_kept_by_name(tmp_path):
    path = tmp_path / "records.json"
    for name in ("one", "two"):
        record(path, name, {"pid": os.getpid()})
    forget(path, "one")
    forget(path, "three")
    assert list(records(path)) == ["two"]


def test_without_a_file_nothing_is_recorded(tmp_path):
    assert records(tmp_path / "missing.json") == {}


def test_an_end_takes_the_descendants_along(started, log):
    parent = psutil.Process(run(started, PARENT, log))
    wait_until(lambda: bool(parent.children()), "the child", 30, log)
    child = parent.children()[0]
    stop({"pid": parent.pid, "started": None})
    assert not is_running({"pid": parent.pid, "started": None})
    assert not is_running({"pid": child.pid, "started": None})


def test_another_process_with_a_recorded_id_is_not_taken_for_it(started, log):
    pid = run(started, SLEEP, log)
    facts = {"pid": pid, "started": psutil.Process(pid).create_time() - 60}
    assert not is_running(facts)
    stop(facts)
    assert psutil.pid_exists(pid)


def test_an_ended_process_does_not_run(started, log):
    pid = run(started, [sys.executable, "-c", ""], log)
    facts = {"pid": pid, "started": None}
    wait_until(lambda: not is_running(facts), "the end", 30, log)
    assert not is_running(facts)
    assert not is_running(None)


def test_a_process_that_ends_while_it_starts_is_told_with_its_last_words(started, log):
    pid = run(started, [sys.executable, "-c", "print('first'); print('no room left')"], log)
    with pytest.raises(UserError, match="the store ended while it started: no room left; see "):
        wait_until(lambda: False, "the store", 30, log, pid)


def test_a_process_that_is_not_ready_in_time_is_told(log):
    with pytest.raises(UserError, match="the store was not ready after 0 seconds: its log is empty; see "):
        wait_until(lambda: False, "the store", 0.2, log)
