"""The setting `auto` takes a backend only if it gains, agrees, and is worth the trial."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from structlog.testing import capture_logs

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding import quickest as program
from image_retrieval.embedding import timings
from image_retrieval.embedding.engine import Engine
from image_retrieval.embedding.quickest import Trial, quickest
from image_retrieval.embedding.reader import Sample
from image_retrieval.errors import UserError
from image_retrieval.models.towers import ImageTower
from image_retrieval.settings import Settings

SIDE = 8
MODEL = ModelOptions(name="m", source="nowhere")
PICTURES = torch.randint(0, 256, (40, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Network:
    """Vectors of pictures, `turned` away from the right ones by an angle; a batch counts as `seconds`."""

    def __init__(self, seconds: float = 1.0, turned: float = 0.0, error: Exception | None = None) -> None:
        self.seconds, self.turned, self.error, self.calls = seconds, turned, error, 0

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.error:
            raise self.error
        angles = pixels.float().mean(dim=(1, 2, 3)) + self.turned
        return torch.stack([torch.cos(angles), torch.sin(angles)], dim=1)


def engine(network: Network, digest: str = "digest", device: str = "cpu") -> Engine:
    return Engine(ImageTower(2, (SIDE, SIDE), torch.device(device), network, digest), 64)


def sample(images: int = 1000, pictures: torch.Tensor = PICTURES) -> Sample:
    return Sample(images, SIDE, SIDE, lambda count: pictures[:count])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, database_url="")


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The networks of candidates, which the test fills in: they are cheap to try."""
    found: dict = {}

    def built(trial: Trial, candidate: tuple) -> Engine:
        return replace_network(trial.engine, found[candidate])

    monkeypatch.setattr(program, "COST", dict.fromkeys(program.COST, 0.0))
    monkeypatch.setattr(program, "PASSES", 0)
    monkeypatch.setattr(program, "_seconds", seconds)
    monkeypatch.setattr(program, "_candidates", lambda trial: [each for each in found if each != trial.own])
    monkeypatch.setattr(program, "_built", built)
    program._ready.clear()
    return found


def seconds(found: Engine, pictures: torch.Tensor) -> float:
    """What the clock of a quiet machine would tell."""
    found.network(pictures)
    return found.network.seconds


def replace_network(found: Engine, network: Network) -> Engine:
    return Engine(found.tower, found.size, network)


def choice(first: Engine, settings: Settings, of: Sample | None = None, model: ModelOptions = MODEL) -> tuple:
    """The chosen network and the lines that were logged."""
    with capture_logs() as lines:
        found = quickest(first, model, of or sample(), settings)
    return found.network, lines


def test_the_one_that_ends_the_shard_first_is_taken_and_told_in_one_line(settings, others):
    others["torch", "bfloat16"] = Network(0.4)
    others["openvino", "float32"] = fastest = Network(0.1)
    network, lines = choice(engine(Network(2.0)), settings)
    assert network is fastest
    (line,) = lines
    assert (line["event"], line["backend"], line["precision"]) == ("backend chosen", "openvino", "float32")
    assert [part.rsplit(" ", 1)[0] for part in line["images_per_second"].split(", ")] == [
        "torch float32",
        "torch bfloat16",
        "openvino float32",
    ]
    assert not line["remembered"]


def test_one_that_gains_next_to_nothing_is_left(settings, others):
    others["openvino", "float32"] = Network(1.9)
    first = engine(Network(2.0))
    assert choice(first, settings)[0] is first.network


@pytest.mark.parametrize("turned", [0.05, 0.19, float("nan")], ids=["0.9987", "0.982", "not finite"])
def test_one_whose_vectors_differ_is_refused(settings, others, turned):
    others["torch", "bfloat16"] = Network(turned=turned)
    first = engine(Network(2.0))
    network, (line,) = choice(first, settings)
    assert network is first.network
    assert "torch bfloat16 refused (cosine " in line["images_per_second"]


def test_one_whose_vectors_are_within_the_bound_is_taken(settings, others):
    others["torch", "bfloat16"] = near = Network(turned=0.04)  # 0.9992
    assert choice(engine(Network(2.0)), settings)[0] is near


@pytest.mark.parametrize("error", [RuntimeError("no such\nkernel"), UserError("no package"), MemoryError()])
def test_one_that_fails_is_told_once_and_torch_goes_on(settings, others, error):
    others["openvino", "float32"] = Network(error=error)
    first = engine(Network(2.0))
    network, lines = choice(first, settings)
    assert network is first.network
    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert "\n" not in lines[0]["error"]
    assert [line["log_level"] for line in choice(first, settings)[1]] == ["info"]  # remembered


def test_the_next_process_does_not_measure_again(settings, others):
    others["openvino", "float32"] = other = Network(0.1)
    choice(engine(Network(2.0)), settings)
    program._ready.clear()  # as in another process
    first = engine(torch_network := Network(2.0))
    calls = other.calls
    network, (line,) = choice(first, settings)
    assert network is other
    assert line["remembered"]
    assert (torch_network.calls, other.calls) == (0, calls)


@pytest.mark.parametrize(("images", "remembered"), [(500, True), (1000, True), (2000, True), (2001, False)], ids=str)
def test_only_a_longer_shard_tries_what_an_earlier_one_could_not_afford(
    settings, others, monkeypatch, images, remembered
):
    others["openvino", "float32"] = Network(0.1)
    others["compile", "float32"] = Network(0.5)
    monkeypatch.setattr(program, "_affordable", lambda trial, rate: [("openvino", "float32")])
    choice(engine(Network(2.0)), settings, sample(1000))
    # torch seems slower on a machine that got busy, so that more would be affordable
    monkeypatch.setattr(program, "_affordable", lambda trial, rate: list(others))
    assert choice(engine(Network(9.0)), settings, sample(images))[1][0]["remembered"] == remembered


def test_nothing_is_tried_twice_where_all_were_tried(settings, others):
    others["openvino", "float32"] = Network(0.1)
    choice(engine(Network(2.0)), settings, sample(1000))
    assert choice(engine(Network(2.0)), settings, sample(10**6))[1][0]["remembered"]


def test_another_model_or_one_of_another_size_is_measured(settings, others):
    others["openvino", "float32"] = Network(0.1)
    choice(engine(Network(2.0)), settings)
    for first, given in [
        (engine(Network(2.0), "other"), sample()),
        (engine(Network(2.0)), replace(sample(), width=16)),
    ]:
        assert not choice(first, settings, given)[1][0]["remembered"]


def test_what_was_measured_is_valid_for_a_time(settings, others, monkeypatch):
    others["openvino", "float32"] = Network(0.1)
    choice(engine(Network(2.0)), settings)
    now = time.time()
    for then, remembered in [(now + timings.VALID_SECONDS - 60, True), (now + timings.VALID_SECONDS + 60, False)]:
        monkeypatch.setattr(time, "time", lambda then=then: then)
        assert choice(engine(Network(2.0)), settings)[1][0]["remembered"] == remembered
    monkeypatch.setattr(time, "time", lambda: now - 86400)  # measured in the future
    assert not choice(engine(Network(2.0)), settings)[1][0]["remembered"]


def spoilt(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(text)


def changed(**values: object) -> Callable[[Path], object]:
    return lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | values))


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        spoilt(""),
        spoilt("{"),
        spoilt("[" * 90_000),
        spoilt("x" * 200_000),
        spoilt("\ud83d".encode("utf-16", "surrogatepass").decode("latin-1")),
        changed(measured_at="yesterday"),
        changed(found=[]),
        changed(found=[{"backend": "openvino", "dtype": "float32", "images_per_second": 1}]),
        changed(found=[{"backend": "rm -rf", "dtype": "float32", "images_per_second": 1}]),
        changed(found=[{"backend": "torch", "dtype": "float32", "images_per_second": -1}]),
        changed(found=[{"backend": "torch", "dtype": "float32", "images_per_second": None}]),
        lambda file: file.write_text(file.read_text().replace('"setup_seconds": 0.0', '"setup_seconds": NaN')),
        as_folder,
        lambda file: (file.unlink(), file.symlink_to(file)),
    ],
)
def test_a_spoilt_file_is_measured_anew(settings, others, spoil):
    others["openvino", "float32"] = other = Network(0.1)
    choice(engine(Network(2.0)), settings)
    (file,) = (settings.local_path / "backends").iterdir()
    spoil(file)
    network, (line,) = choice(engine(Network(2.0)), settings)
    assert network is other
    assert not line["remembered"]


@pytest.mark.parametrize("error", [RuntimeError("too large"), MemoryError()])
def test_where_torch_itself_fails_its_engine_goes_on_and_tells(settings, others, error):
    others["openvino", "float32"] = Network(0.1)
    first = engine(Network(error=error))
    assert choice(first, settings) == (first.network, [])


def test_a_short_shard_uses_what_a_longer_one_measured(settings, others):
    others["openvino", "float32"] = other = Network(0.1)
    choice(engine(Network(2.0)), settings)
    network, (line,) = choice(engine(Network(2.0)), settings, sample(100))
    assert network is other
    assert line["remembered"]


def test_a_trial_that_was_killed_is_not_repeated_at_once(settings, others, monkeypatch):
    def kills(trial: Trial, candidate: tuple) -> Engine:
        raise KeyboardInterrupt

    others["openvino", "float32"] = other = Network(0.1)
    with monkeypatch.context() as patched:
        patched.setattr(program, "_built", kills)
        with pytest.raises(KeyboardInterrupt):
            choice(engine(Network(2.0)), settings)
    first = engine(Network(2.0))
    network, (line,) = choice(first, settings)
    assert (network, line["remembered"]) == (first.network, True)
    later = time.time() + timings.AGAIN_SECONDS + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert choice(first, settings)[0] is other


def test_without_a_place_to_remember_it_measures_each_time(settings, others):
    others["openvino", "float32"] = other = Network(0.1)
    settings.local_path.write_text("not a folder")
    for _ in range(2):
        network, (line,) = choice(engine(Network(2.0)), settings)
        assert network is other
        assert not line["remembered"]


def test_a_remembered_one_that_fails_is_told_and_forgotten(settings, others, monkeypatch):
    others["openvino", "float32"] = Network(0.1)
    first = engine(Network(2.0))
    choice(first, settings)
    program._ready.clear()

    def fails(trial: Trial, candidate: tuple) -> Engine:
        raise UserError("its package was removed")

    monkeypatch.setattr(program, "_built", fails)
    network, lines = choice(first, settings)
    assert network is first.network
    assert [line["log_level"] for line in lines] == ["info", "warning"]
    assert not any((settings.local_path / "backends").iterdir())


@pytest.mark.parametrize(
    ("images", "backend", "device"), [(499, "auto", "cpu"), (1000, "torch", "cpu"), (1000, "auto", "meta")]
)
def test_short_shards_stated_backends_and_gpus_are_left_alone(settings, others, images, backend, device):
    others["openvino", "float32"] = Network()
    first = engine(network := Network(), device=device)
    chosen = settings.model_copy(update={"backend": backend})
    assert quickest(first, MODEL, sample(images), chosen) is first
    assert network.calls == 0


@pytest.mark.parametrize("pictures", [PICTURES[:0], PICTURES * 0], ids=["none", "that make no vectors"])
def test_without_pictures_to_measure_torch_stays(settings, others, pictures):
    others["openvino", "float32"] = Network()
    first = engine(Network(turned=float("nan")))
    assert choice(first, settings, sample(pictures=pictures)) == (first.network, [])


def test_fewer_pictures_than_a_batch_are_repeated(settings, others):
    others["openvino", "float32"] = other = Network(0.1)
    assert choice(engine(Network(2.0)), settings, sample(pictures=PICTURES[:3]))[0] is other


def test_what_costs_more_than_it_may_gain_is_not_tried(settings, monkeypatch):
    monkeypatch.setattr(program, "installed", lambda backend: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    trial = Trial(engine(Network()), MODEL, sample(10_000), settings)
    tried = {rate: program._affordable(trial, rate) for rate in (2000, 100, 10, 0.5)}
    assert tried[2000] == []
    assert tried[100] == [("torch", "bfloat16")]
    assert tried[10] == [("torch", "bfloat16"), ("openvino", "float32"), ("openvino", "bfloat16")]
    assert tried[0.5] == list(program._candidates(trial))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_stated_precision_is_kept(settings, monkeypatch, dtype):
    monkeypatch.setattr(program, "installed", lambda backend: True)
    trial = Trial(engine(Network()), MODEL.model_copy(update={"dtype": dtype}), sample(), settings)
    assert trial.own == ("torch", dtype)
    assert {found for _, found in program._candidates(trial)} == {dtype}


def test_a_package_that_is_missing_is_no_candidate(settings, monkeypatch):
    monkeypatch.setattr(program, "installed", lambda backend: backend == "torch")
    trial = Trial(engine(Network()), MODEL, sample(), settings)
    assert list(program._candidates(trial)) == [("torch", "bfloat16")]


def test_only_its_owner_reads_the_file(settings, others):
    others["openvino", "float32"] = Network(0.1)
    choice(engine(Network(2.0)), settings)
    (file,) = (settings.local_path / "backends").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # nothing half-written
