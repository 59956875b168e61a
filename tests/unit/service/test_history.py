"""The service's history: what was counted in each minute, and what is told of it."""

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.service import gpus
from image_retrieval.service.gpus import Gpu, read_gpus
from image_retrieval.service.history import KEPT, MINUTE, Counts, History, Minute, totals, used_seconds
from image_retrieval.service.metrics import SECONDS, Metrics
from image_retrieval.service.usage import SPANS, usage

ROUTES = ("/api/search", "/api/stats", "none")
requests = st.lists(
    st.tuples(st.sampled_from(ROUTES), st.sampled_from([200, 204, 404, 429, 499, 500, 503]), st.floats(0, 40)),
    max_size=30,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_040.0  # a whole minute

    def __call__(self) -> float:
        return self.now


def count(metrics, asked):
    for route, status, seconds in asked:
        metrics.requests.labels("GET", route, status).inc()
        metrics.seconds.labels(route).observe(seconds)


def test_the_history_of_no_requests():
    clock = Clock()
    history = History(Metrics(), list, clock)
    clock.now += 10
    told = usage(history.minutes(), "hour")
    assert (told["requests"], told["p95"], told["routes"], len(told["steps"])) == (0, None, [], 1)
    assert told["seconds"] == 10


@given(st.lists(requests, max_size=6))
def test_minutes_add_up_to_all_that_was_counted(minutes):
    clock, metrics = Clock(), Metrics()
    history = History(metrics, list, clock)
    for asked in minutes:
        count(metrics, asked)
        clock.now += MINUTE
        history.keep()
    kept = history.minutes()
    for asked, minute in zip(minutes, kept, strict=False):
        assert sum(counts.requests for counts in minute.routes.values()) == len(asked)
    everything = [each for asked in minutes for each in asked]
    told = usage(kept, "hour")
    assert told["requests"] == len(everything) == sum(step["requests"] for step in told["steps"])
    assert told["failed"] == sum(status >= 500 for _, status, _ in everything)
    assert told["refused"] == sum(400 <= status < 500 for _, status, _ in everything)
    assert {route["route"]: route["requests"] for route in told["routes"]} == {
        name: counts.requests for name, counts in totals(metrics).items()
    }


@given(st.lists(st.floats(0, 60), min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_the_bounds_of_the_true_one(seconds, share):
    metrics = Metrics()
    count(metrics, [("none", 200, each) for each in seconds])
    found = totals(metrics)["none"].quantile(share)
    true = sorted(seconds)[max(0, -int(-share * len(seconds) // 1) - 1)]
    bounds = (0.0, *SECONDS)
    if true > SECONDS[-1]:
        assert found == SECONDS[-1]
    else:
        low = max(bound for bound in bounds if bound < true or bound == 0)
        high = min(bound for bound in SECONDS if bound >= true)
        assert low <= found <= high


def test_a_day_is_kept_and_told_in_steps_of_ten_minutes():
    counts = Counts(3, 1, 1, [3] + [0] * len(SECONDS))
    start = 1_699_999_800.0  # a multiple of ten minutes
    minutes = [Minute(start + MINUTE * at, MINUTE, {"none": counts}, 0.5, at, 1, ()) for at in range(KEPT)]
    day, hour = usage(minutes, "day"), usage(minutes, "hour")
    assert len(day["steps"]) == 144
    assert [step["requests"] for step in day["steps"]] == [30] * 144
    assert day["per_second"] == hour["per_second"] == 0.05
    assert (len(hour["steps"]), hour["requests"]) == (SPANS["hour"][0], 180)
    assert day["steps"][0]["memory"] == 9  # the most of its minutes


def test_processes_that_were_started_count():
    history = History(Metrics(), list)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        end = time.monotonic() + 20
        while used_seconds().get(busy.pid, 0) < 0.3 and time.monotonic() < end:
            time.sleep(0.05)
        [minute] = history.minutes()
        assert minute.cores * minute.seconds >= 0.3
        assert minute.memory > History(Metrics(), lambda: [busy.pid]).minutes()[0].models_memory > 0
    finally:
        busy.kill()
        busy.wait()


def test_a_thread_begins_once_and_ends():
    history = History(Metrics(), list)
    for _ in range(3):
        history.begin()
    thread = history._thread
    assert thread is not None
    assert thread.is_alive()
    history.close()
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("NVIDIA A, B 80GB, 37, 1024, 81559\n", (Gpu("NVIDIA A, B 80GB", 0.37, 2**30, 81559 * 2**20),)),
        ("NVIDIA H100, [N/A], [N/A], [N/A]\n", (Gpu("NVIDIA H100", None, None, None),)),
        ("No devices were found\n", ()),
    ],
)
def test_what_nvidias_tool_tells(told, found, tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{told}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    gpus._nvidia_smi.cache_clear()
    try:
        assert read_gpus() == found
    finally:
        gpus._nvidia_smi.cache_clear()
