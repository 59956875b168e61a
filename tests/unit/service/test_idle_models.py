"""Processes of models end when nobody asks them, and no request notices more than a start."""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.service.encoder import Encoder
from image_retrieval.service.errors import Refused
from image_retrieval.service.metrics import Metrics
from image_retrieval.service.model_process import ModelProcess
from image_retrieval.settings import Settings
from unit.service.left_over import children, nothing_left, until

WORKER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("quick_worker.py")))
LONG = 900.0


def process(model: ModelOptions, settings: Settings) -> ModelProcess:
    return ModelProcess(model, settings, WORKER)


@pytest.fixture
def model(tmp_path: Path) -> ModelOptions:
    """A model whose digest is `d`."""
    file = tmp_path / "model"
    file.write_text("d 0")
    return ModelOptions(name="model", source=str(file))


@pytest.fixture
def start() -> Iterator[Callable[..., Encoder]]:
    """Makes encoders with so many idle seconds, ends them, and finds nothing left of them."""
    made: list[Encoder] = []

    def make(idle: float, service_seconds: float = 120, **options) -> Encoder:
        settings = Settings(service_seconds=service_seconds, service_idle_seconds=idle)
        encoder = Encoder(settings, Metrics(), process, **options)
        made.append(encoder)
        return encoder

    with nothing_left():
        yield make
        for encoder in made:
            encoder.close()


def pid(encoder: Encoder, model: ModelOptions) -> int:
    return int(encoder.text(model, "a", "d")[1])


def test_a_process_that_nobody_asks_ends_and_the_next_request_starts_another(start, model):
    encoder = start(0.2)
    with nothing_left():
        first = pid(encoder, model)
        assert encoder.pids() == [first]
    assert encoder.pids() == []
    with nothing_left():
        assert encoder.facts(model)["digest"] == "d"
        assert pid(encoder, model) != first


def test_a_process_that_is_asked_stays(start, model):
    idle = 1.0
    encoder = start(idle)
    found, answered = pid(encoder, model), time.monotonic()
    end = answered + 2.5 * idle
    while answered < end:
        time.sleep(0.1)
        former, since = found, answered
        found, answered = pid(encoder, model), time.monotonic()
        assert found == former or answered - since > idle  # on a machine that stood still


@pytest.mark.parametrize("seed", range(2))
def test_no_request_is_lost_where_processes_end_beside_it(start, model, seed):
    """Requests come about when the processes end, from several threads and for two models."""
    idle = 0.03
    other = ModelOptions(name="other", source=model.source)
    encoder = start(idle)

    def ask(number: int) -> list[int]:
        rng = random.Random(f"{seed} {number}")
        found = []
        for _ in range(10):
            found.append(pid(encoder, rng.choice((model, other))))
            time.sleep(idle * rng.choice((0, 0.9, 1, 1, 1.1, 2)))
        return found

    with nothing_left(), ThreadPoolExecutor(3) as pool:
        answers = [found for asked in pool.map(ask, range(3)) for found in asked]
    assert len(answers) == 30
    assert len(set(answers)) > 2


def test_the_process_of_a_model_that_no_collection_shows_ends_soon(start, model):
    shown = {"model", "other"}
    encoder = start(LONG, is_shown=lambda model: model.name in shown, look_seconds=0.1)
    other = ModelOptions(name="other", source=model.source)
    first, second = pid(encoder, model), pid(encoder, other)
    time.sleep(0.5)
    assert set(encoder.pids()) == {first, second}
    shown.remove("model")
    until(lambda: encoder.pids() == [second])
    until(lambda: first not in children())
    shown.add("model")  # a rollback
    third = pid(encoder, model)
    assert third != first
    time.sleep(0.5)
    assert set(encoder.pids()) == {third, second}


def test_a_model_that_loads_for_long_is_not_ended_meanwhile(start, model):
    Path(model.source).write_text("d 1")
    encoder = start(0.1, service_seconds=0.2, is_shown=lambda _: False, look_seconds=0.05)
    with pytest.raises(Refused, match="no answer of the model"):
        pid(encoder, model)
    started = encoder.pids()
    while True:
        with suppress(Refused):
            assert [pid(encoder, model)] == started
            return


def test_a_process_that_starts_again_with_other_files_answers_nothing(start, model):
    encoder = start(0.2)
    with nothing_left():
        pid(encoder, model)
    Path(model.source).write_text("other 0")
    with pytest.raises(UserError, match="have changed"):
        pid(encoder, model)
    assert encoder.facts(model)["digest"] == "other"
    assert encoder.text(model, "a", None)[0] == 1


def test_who_asks_while_the_service_ends_is_told(start, model):
    encoder = start(LONG)
    told = []

    def ask() -> None:
        while True:
            try:
                pid(encoder, model)
            except Unavailable as error:
                told.append(str(error))
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: encoder.pids() != [])
    encoder.close()
    for thread in threads:
        thread.join(30)
    assert told == ["the service is ending"] * 4
