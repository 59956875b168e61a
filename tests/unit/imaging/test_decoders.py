import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.decoders import Decoders, GivenUp
from image_retrieval.imaging.resample import encode, resample
from image_retrieval.settings import Settings
from image_retrieval.timeouts import ended_after
from unit.imaging.pictures import LIMITS, encoded, photo

OPTIONS = ResampleOptions(target_size=(32, 24))
MISBEHAVING = (sys.executable, str(Path(__file__).with_name("misbehaving_worker.py")))
GOOD = encoded(photo(96, 64), "JPEG")
EXPECTED = resample(GOOD, OPTIONS, LIMITS)
# says that it is ready, as the first one of its folder; the others end at once
ONLY_THE_FIRST_STARTS = """
import os, sys
try:
    os.mkdir(sys.argv[1])
except FileExistsError:
    sys.exit(3)
sys.stdout.buffer.write((5).to_bytes(8, "big") + b"ready")
sys.stdout.flush()
sys.stdin.buffer.read(8)
"""


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def rejection(decoders: Decoders, data: bytes) -> ImageRejected:
    with pytest.raises(ImageRejected) as rejected:
        decoders.resample(data)
    return rejected.value


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(OPTIONS, Settings(processes=2, max_image_seconds=30)) as started:
        yield started


def test_a_picture_comes_back_with_its_kept_file(decoders):
    found, file = decoders.resample(GOOD)
    assert found == EXPECTED
    assert file == encode(EXPECTED.pixels, OPTIONS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"text", Reason.UNSUPPORTED_FORMAT),
        (GOOD[: len(GOOD) // 2], Reason.TRUNCATED),
        (encoded(Image.new("1", (20_000, 20_000)), "PNG"), Reason.TOO_LARGE),
    ],
    ids=["empty", "text", "truncated", "too large"],
)
def test_a_bad_picture_is_rejected_with_its_reason(decoders, data, reason):
    found = rejection(decoders, data)
    assert found.reason is reason
    assert decoders.resample(GOOD)[0] == EXPECTED


def test_many_threads_share_the_processes(decoders):
    before = children()
    with ThreadPoolExecutor(8) as pool:
        for found, _ in pool.map(decoders.resample, [GOOD] * 40):
            assert found == EXPECTED
    assert children() == before


def test_where_no_file_is_kept_none_is_made():
    with Decoders(OPTIONS.model_copy(update={"keep": False}), Settings(processes=1)) as started:
        assert started.resample(GOOD) == (EXPECTED, b"")


def test_a_crash_costs_only_its_image():
    with Decoders(OPTIONS, Settings(processes=1), MISBEHAVING) as started:
        assert rejection(started, b"CRASH").reason is Reason.DECODER_CRASHED
        assert started.resample(GOOD)[0] == EXPECTED


def test_a_hang_costs_only_its_image():
    with Decoders(OPTIONS, Settings(processes=1, max_image_seconds=2), MISBEHAVING) as started:
        found = rejection(started, b"SLEEP")
        assert (found.reason, found.detail) == (Reason.TIMEOUT, "not decoded within 2 seconds")
        assert started.resample(GOOD)[0] == EXPECTED


def test_one_process_takes_pictures_of_any_options(decoders):
    wide = ResampleOptions(target_size=(48, 16), keep=False)
    assert decoders.resample(GOOD, wide) == (resample(GOOD, wide, LIMITS), b"")
    assert decoders.resample(GOOD)[0] == EXPECTED


def test_a_decoding_that_is_given_up_is_ended_at_once_and_its_place_is_free():
    given_up, kills = threading.Event(), queue.SimpleQueue()

    @contextmanager
    def ending(end):
        kills.put(end)
        yield given_up

    def work() -> None:
        with pytest.raises(GivenUp):
            started.resample(b"SLEEP", endings=[ending])
        ended.set()

    ended, before = threading.Event(), children()
    with Decoders(OPTIONS, Settings(processes=1, max_image_seconds=600), MISBEHAVING) as started:
        threading.Thread(target=work, daemon=True).start()
        kill = kills.get(timeout=30)
        (sleeper,) = children() - before
        given_up.set()
        kill()
        assert ended.wait(30)
        assert not sleeper.is_running()
        assert started.resample(GOOD)[0] == EXPECTED


def test_a_time_that_another_sets_is_no_images_fault():
    with Decoders(OPTIONS, Settings(processes=1), MISBEHAVING) as started:
        with pytest.raises(GivenUp):
            started.resample(b"SLEEP", endings=[partial(ended_after, 0.2)])
        assert started.resample(GOOD)[0] == EXPECTED


def test_processes_for_large_pictures_get_what_others_leave():
    before = children()
    with Decoders(OPTIONS, Settings(), count=1, idle=True) as started:
        [process] = children() - before
        assert (process.nice(), os.sched_getscheduler(process.pid)) == (19, os.SCHED_IDLE)
        assert started.resample(GOOD)[0] == EXPECTED


def test_a_picture_that_needs_too_much_memory_costs_only_itself():
    huge = encoded(Image.new("1", (12_000, 12_000)), "PNG")
    with Decoders(OPTIONS, Settings(processes=1, decoder_memory_mb=400)) as started:
        assert rejection(started, huge).reason in (Reason.TOO_LARGE, Reason.DECODER_CRASHED)
        assert started.resample(GOOD)[0] == EXPECTED


def test_a_process_is_given_no_secret(monkeypatch):
    monkeypatch.setenv("IMAGE_RETRIEVAL_DATABASE_URL", "postgresql://user:never-shown@host/name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-shown")
    with Decoders(OPTIONS, Settings(processes=1), MISBEHAVING) as started:
        environment = json.loads(rejection(started, b"ENVIRONMENT").detail)
    assert "never-shown" not in environment.values()
    assert set(environment) <= {"PYTHONPATH", "VIPS_CONCURRENCY", "LC_CTYPE", "LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER"}


def test_no_process_outlives_its_block():
    before = children()
    with Decoders(OPTIONS, Settings(processes=2), MISBEHAVING) as started:
        rejection(started, b"CRASH")
        started.resample(GOOD)
        assert children() - before
    assert children() == before


def test_a_process_that_does_not_start_is_no_images_fault():
    with (
        pytest.raises(RuntimeError, match="a decoding process does not start: it ended with 3"),
        Decoders(OPTIONS, Settings(processes=1), (sys.executable, "-c", "raise SystemExit(3)")),
    ):
        pass


def test_where_one_process_does_not_start_none_is_left(tmp_path):
    before = children()
    worker = (sys.executable, "-c", ONLY_THE_FIRST_STARTS, str(tmp_path / "first"))
    with pytest.raises(RuntimeError, match="does not start"), Decoders(OPTIONS, Settings(processes=2), worker):
        pass
    assert children() == before


def test_no_thread_waits_for_a_process_that_does_not_start_again(tmp_path):
    worker = (sys.executable, "-c", ONLY_THE_FIRST_STARTS, str(tmp_path / "first"))
    ended = []

    def work() -> None:
        with pytest.raises((RuntimeError, ImageRejected)):
            started.resample(GOOD)
        ended.append(True)

    with Decoders(OPTIONS, Settings(processes=1), worker) as started:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert ended == [True, True]
