import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.pipeline.resampling import Budget


@given(st.integers(1, 100), st.lists(st.integers(0, 300), max_size=30))
def test_no_more_is_taken_than_there_is(size, wanted):
    budget = Budget(size)
    lock = threading.Lock()
    held: list[int] = []
    peaks: list[int] = []

    def work(amount: int) -> None:
        with budget.taken(amount):
            with lock:
                held.append(min(amount, size))
                peaks.append(sum(held))
            time.sleep(0)
            with lock:
                held.remove(min(amount, size))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, wanted))
    assert max(peaks, default=0) <= size
    assert len(peaks) == len(wanted)


def test_a_failure_gives_back_what_it_took():
    budget = Budget(10)
    with pytest.raises(KeyError), budget.taken(10):
        raise KeyError
    with budget.taken(10):
        pass
