"""Decoding processes end when no picture comes, and no picture notices more than a start."""

import io
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import Unavailable
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.service.decoding import Pictures
from image_retrieval.settings import Settings
from unit.service.left_over import children, nothing_left

OPTIONS = ResampleOptions(target_size=(16, 16), keep=False)
LIMITS = Limits(pixels=10**9, frames=1)


def file(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 60).save(file, "PNG", compress_level=0)
    return file.getvalue()


SMALL, LARGE = file((64, 64)), file((2300, 1900))
EXPECTED = {data: (resample(data, OPTIONS, LIMITS), b"") for data in (SMALL, LARGE)}


@pytest.fixture
def start() -> Iterator[Callable[[float], Pictures]]:
    """Makes decoders with so many idle seconds, ends them, and finds nothing left of them."""
    made: list[Pictures] = []

    def make(idle: float) -> Pictures:
        made.append(Pictures(Settings(processes=1, service_idle_seconds=idle)))
        return made[-1]

    with nothing_left():
        yield make
        for pictures in made:
            pictures.__exit__()


def test_processes_end_when_no_picture_comes_and_the_next_one_starts_them(start):
    pictures, before = start(0.3), children()
    for _ in range(2):
        with nothing_left():
            assert pictures.resample(SMALL, OPTIONS) == EXPECTED[SMALL]
            assert len(children() - before) == 1


def test_processes_for_large_pictures_end_on_their_own(start):
    pictures, before = start(0.3), children()
    with nothing_left():
        assert pictures.resample(LARGE, OPTIONS) == EXPECTED[LARGE]
        assert len(children() - before) == 2


def test_no_picture_is_lost_where_processes_end_beside_it(start):
    idle = 0.05
    pictures = start(idle)

    def ask(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(4):
            data = rng.choice((SMALL, SMALL, LARGE))
            assert pictures.resample(data, OPTIONS) == EXPECTED[data]
            time.sleep(idle * rng.choice((0, 0.9, 1, 1.1, 3)))

    with nothing_left(), ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, range(2)))


def test_after_the_end_no_process_starts(start):
    pictures, before = start(900), children()
    pictures.resample(SMALL, OPTIONS)
    pictures.__exit__()
    assert children() == before
    with pytest.raises(Unavailable):
        pictures.resample(SMALL, OPTIONS)
