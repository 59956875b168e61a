"""Batches, limits and restarts of the encoder, with a process that misbehaves on demand."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import ImageRejected, Unavailable, UserError
from image_retrieval.service.encoder import Encoder, Memory
from image_retrieval.service.errors import Refused
from image_retrieval.service.metrics import Metrics
from image_retrieval.service.model_process import ModelProcess
from image_retrieval.settings import Settings

WORKER = (sys.executable, str(Path(__file__).with_name("misbehaving_worker.py")))
MODEL = ModelOptions(name="model", source="x")


@pytest.fixture
def start() -> Iterator:
    """Makes encoders with these settings, and ends them."""
    made: list[Encoder] = []

    def make(**options) -> Encoder:
        settings = Settings(**{"service_seconds": 120, **options})
        encoder = Encoder(settings, Metrics(), lambda model, settings: ModelProcess(model, settings, WORKER))
        made.append(encoder)
        return encoder

    yield make
    for encoder in made:
        encoder.close()


def at_once(encoder: Encoder, texts: list[str]) -> list:
    """What each text is answered with, or the error, where all are asked at once."""

    def ask(text: str):
        try:
            return encoder.text(MODEL, text)
        except Exception as error:
            return error

    encoder.text(MODEL, "the process is up")
    with ThreadPoolExecutor(len(texts)) as pool:
        return list(pool.map(ask, texts))


def pixels(text: str) -> bytes:
    return text.encode().ljust(12, b"\0")


def test_who_comes_while_the_model_computes_is_the_next_batch(start):
    sizes = [vector[0] for vector in at_once(start(), ["a"] * 12)]
    assert max(sizes) > 3
    alone = [vector[0] for vector in at_once(start(service_batch=1), ["a"] * 4)]
    assert set(alone) == {1}


def test_pictures_and_texts_go_in_batches_of_their_own(start):
    encoder = start()
    assert encoder.image(MODEL, pixels("a"), (2, 2)).tolist() == [1, 0]
    assert encoder.text(MODEL, "a").tolist() == [1, 0]
    assert encoder.facts(MODEL) == {"digest": "d", "size": [2, 2], "dimensions": 2}


def test_one_that_the_model_fails_on_does_not_fail_the_others(start):
    found = at_once(start(), ["a", "fail", "b", "nan"])
    assert [type(answer) for answer in found] == [np.ndarray, ImageRejected, np.ndarray, ImageRejected]
    assert [str(found[at].reason) for at in (1, 3)] == ["model_failed", "not_finite"]


def test_a_process_that_dies_is_replaced(start):
    encoder = start()
    with pytest.raises(Unavailable, match="twice"):
        encoder.text(MODEL, "die")
    assert encoder.text(MODEL, "a").tolist() == [1, 0]
    assert len(encoder.pids()) == 1


@pytest.mark.slow
def test_a_process_that_hangs_is_ended(start):
    encoder = start(service_seconds=3)
    with pytest.raises((Refused, Unavailable)):
        encoder.text(MODEL, "hang")
    for _ in range(20):
        try:
            assert encoder.text(MODEL, "a").tolist() == [1, 0]
            return
        except (Refused, Unavailable):
            continue
    pytest.fail("the process was not replaced")


@pytest.mark.parametrize(("name", "error"), [("unknown", UserError), ("unstartable", Unavailable)])
def test_a_model_that_does_not_load_is_told_each_time(start, name, error):
    encoder = start()
    for _ in range(2):
        with pytest.raises(error):
            encoder.text(MODEL.model_copy(update={"name": name}), "a")


def test_who_comes_to_a_full_queue_is_sent_away(start):
    found = at_once(start(service_queue=1, service_batch=1), ["a"] * 12)
    refused = [answer for answer in found if isinstance(answer, Refused)]
    assert {(answer.status, answer.wait) for answer in refused} == {(503, 1)}
    assert len(refused) < 12


def test_the_memory_forgets_what_was_not_asked_for_the_longest():
    memory, vector = Memory(2), np.zeros(1, np.float32)
    memory.put("a", vector)
    memory.put("b", vector)
    memory.get("a")
    memory.put("c", vector)
    assert [memory.get(key) is None for key in "abc"] == [False, True, False]
