import os
import threading
from collections.abc import Callable, Iterator

import pytest

from image_retrieval.errors import ImageRejected
from image_retrieval.imaging import kept_decoders
from image_retrieval.imaging.kept_decoders import decoders_of, keeping_decoders
from image_retrieval.picture_options import ResampleOptions
from image_retrieval.settings import Settings
from unit.imaging.pictures import encoded, photo
from unit.service.left_over import children, nothing_left

ONE = Settings(processes=1, max_image_seconds=30)
FEWER_PIXELS = Settings(processes=1, max_image_seconds=30, max_image_pixels=100)
GOOD = encoded(photo(96, 64), "JPEG")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Neither by the suite."""
    outside = kept_decoders._kept.set(None)
    yield
    kept_decoders._kept.reset(outside)


def size_of(settings: Settings, target_size: tuple[int, int] = (32, 24)) -> int:
    """Bytes of the pixels of a picture that these decoders resample."""
    with decoders_of(settings) as decoders:
        found, _ = decoders.resample(GOOD, ResampleOptions(target_size=target_size, keep=False))
    return len(found.pixels)


def in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_shards_share_what_the_first_one_starts():
    before = children()
    with nothing_left(), keeping_decoders():
        assert children() == before  # a run without images starts none
        assert size_of(ONE) == 32 * 24 * 3
        (started,) = children() - before
        with keeping_decoders():
            assert size_of(ONE, (48, 16)) == 48 * 16 * 3
        assert children() - before == {started}


def test_other_limits_have_decoders_of_their_own():
    before = children()
    with nothing_left(), keeping_decoders():
        size_of(ONE)
        with pytest.raises(ImageRejected, match="too_large"):
            size_of(FEWER_PIXELS)
        assert size_of(ONE)
        assert len(children() - before) == 2


def fail_with_decoders() -> None:
    with keeping_decoders():
        size_of(ONE)
        raise KeyError("a shard failed")


def test_an_error_ends_them():
    with nothing_left(), pytest.raises(KeyError, match="a shard failed"):
        fail_with_decoders()


def test_outside_of_a_block_none_is_kept():
    before = children()
    with nothing_left():
        size_of(ONE)
        assert children() == before


def test_threads_and_forked_processes_start_their_own():
    with nothing_left(), keeping_decoders():
        size_of(ONE)
        before = children()

        def ask() -> None:
            with decoders_of(ONE):
                seen.append(len(children() - before))

        seen: list[int] = []
        in_thread(ask)
        assert seen == [1]
        assert children() == before
        child = os.fork()
        if not child:
            status = 1
            try:
                with decoders_of(ONE):
                    status = 0 if len(children()) == 1 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert size_of(ONE) == 32 * 24 * 3
