"""Several processes end as the first that failed."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from image_retrieval.training import launching

INCLUDE = Path(launching.__file__).parents[2]
LAUNCHING = [sys.executable, "-m", "image_retrieval.training.launching"]


def failure(rank: int, status: int) -> ProcessFailure:
    return ProcessFailure(local_rank=rank, pid=1, exitcode=status, error_file="none")


@pytest.mark.slow
def test_a_mistake_has_its_status_and_its_line_is_the_last():
    command = [*LAUNCHING, "2", "training", "resume", "/none/such"]
    done = subprocess.run(command, cwd=INCLUDE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("image-retrieval: /none/such/ holds no training")


@pytest.mark.slow
def test_machines_meet_at_the_first_and_a_mistake_is_told_by_each():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    given = ["--machines=2", f"--address={address}", "1", "training", "resume", "/no"]
    machines = [
        subprocess.Popen([*LAUNCHING, f"--machine={machine}", *given], cwd=INCLUDE, stderr=subprocess.PIPE, text=True)
        for machine in (1, 0)
    ]
    for process in machines:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 2, told
        assert told.splitlines()[-1].startswith("image-retrieval: /no/ holds no training")


@pytest.mark.slow
def test_a_machine_that_is_alone_waits_in_vain():
    command = [
        *LAUNCHING,
        "--machines=2",
        "--machine=1",
        "--address=127.0.0.1:1",
        "--patience=1",
        "1",
        "training",
        "list",
    ]
    done = subprocess.run(command, cwd=INCLUDE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 75, done.stderr
    assert "the machines did not meet at 127.0.0.1:1 within 1 seconds" in done.stderr.splitlines()[-1]


def test_a_port_that_is_taken_is_an_outage(monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # else launch would set it for good
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status = launching.launch(1, ["training", "list"], launching.Meeting(2, 0, address, patience=1))
    assert status == 75
    assert "EADDRINUSE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("four training run", "invalid int value: 'four'"),
        ("0 training run", "numbers of at least 1"),
        ("4", "a command is needed"),
        ("--machines=2 --machine=2 --address=a:1 4 training run", "machines are counted from 0 to 1"),
        ("--machines=2 4 training run", "--address '': HOST:PORT of machine 0"),
        ("--machines=2 --address=a:99999 4 training run", "HOST:PORT of machine 0"),
        ("--groups=2 4 training run", "--groups=2"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(arguments, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["launching", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        launching.main()
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("image-retrieval: python -m image_retrieval.training.launching")
    assert told in line


def test_the_cause_comes_before_its_consequences():
    killed, mistaken, out = failure(0, -signal.SIGTERM), failure(1, 2), failure(2, 75)
    assert launching._cause([killed, out, mistaken]) is mistaken
    assert launching._cause([killed, out]) is out
    assert launching._cause([out, gone := failure(3, -signal.SIGKILL)]) is gone
    assert launching._status(gone) == 75
    assert launching._last_line(Path(), gone) == "image-retrieval: process 3 was ended by SIGKILL"
