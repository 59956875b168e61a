import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from image_retrieval.timeouts import ended_after

SOON, PATIENCE = 0.05, 10


def taking_too_long() -> bool:
    ended = threading.Event()
    with ended_after(SOON, ended.set) as late:
        return ended.wait(PATIENCE) and late.is_set()


def test_what_takes_too_long_is_ended():
    assert taking_too_long()


def test_what_is_over_is_never_ended():
    ended = threading.Event()
    with ended_after(SOON, ended.set) as late:
        pass
    assert not ended.wait(4 * SOON)
    assert not late.is_set()


def test_an_earlier_deadline_does_not_wait_for_a_later_one():
    later = threading.Event()
    with ended_after(PATIENCE, later.set):
        started = time.monotonic()
        assert taking_too_long()
        assert time.monotonic() - started < PATIENCE / 2
    assert not later.is_set()


def test_many_at_once_are_each_ended():
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda _: taking_too_long(), range(64)))


def test_an_error_of_the_block_passes():
    with pytest.raises(ValueError, match="its own"), ended_after(PATIENCE, lambda: None):
        raise ValueError("its own")


def test_a_forked_process_watches_anew():
    assert taking_too_long()
    child = os.fork()
    if not child:
        os._exit(0 if taking_too_long() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
