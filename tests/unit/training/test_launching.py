"""Several processes end as the first that failed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from image_retrieval.training import launching

INCLUDE = Path(launching.__file__).parents[2]


def failure(rank: int, status: int) -> ProcessFailure:
    return ProcessFailure(local_rank=rank, pid=1, exitcode=status, error_file="none")


@pytest.mark.slow
def test_a_mistake_has_its_status_and_its_line_is_the_last():
    command = [sys.executable, "-m", "image_retrieval.training.launching", "2", "training", "resume", "/none/such"]
    done = subprocess.run(command, cwd=INCLUDE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("image-retrieval: /none/such/ holds no training")


def test_the_cause_comes_before_its_consequences():
    killed, mistaken, out = failure(0, -signal.SIGTERM), failure(1, 2), failure(2, 75)
    assert launching._cause([killed, out, mistaken]) is mistaken
    assert launching._cause([killed, out]) is out
    assert launching._cause([out, gone := failure(3, -signal.SIGKILL)]) is gone
    assert launching._status(gone) == 75
    assert launching._last_line(Path(), gone) == "image-retrieval: process 3 was ended by SIGKILL"
