"""The engine gives every image its vector, whatever fails around it."""

import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding import backends
from image_retrieval.embedding.engine import Engine
from image_retrieval.embedding.reader import Batch
from image_retrieval.errors import OutOfMemory, UserError
from image_retrieval.models.towers import ImageTower, load_image_tower
from image_retrieval.settings import Settings

SIDE = 4


class Network:
    """Vectors that tell their pixels; fails as it is told."""

    def __init__(self, *, fits=1000, fails_on=(), error="index out of range", not_finite=()):
        self.sizes, self._fits, self._fails_on, self._error = [], fits, set(fails_on), error
        self._not_finite = not_finite

    def __call__(self, pixels):
        self.sizes.append(len(pixels))
        if len(pixels) > self._fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        values = pixels[:, 0, 0, 0].int().tolist()
        if self._fails_on & set(values):
            raise RuntimeError(self._error + "\nwith more lines")
        vectors = expected(values)
        vectors[[value in self._not_finite for value in values]] = float("nan")
        return vectors


def expected(values):
    angles = torch.tensor(values).double()
    return torch.stack([torch.cos(angles), torch.sin(angles)], dim=1).float()


def batches(count, size):
    for start in range(0, count, size):
        values = torch.arange(start, min(start + size, count), dtype=torch.uint8)
        yield Batch(pa.array(values.tolist()), values.view(-1, 1, 1, 1).expand(-1, SIDE, SIDE, 3))


def run(network, count=20, size=8, **options):
    tower = ImageTower(2, (SIDE, SIDE), torch.device("cpu"), network, "digest")
    engine = Engine(tower, size, **options)
    found = list(engine.embed(batches(count, size)))
    ids = [row for part in found for row in part.ids.to_pylist()]
    reasons = [reason for part in found for reason in part.reasons]
    details = [detail for part in found for detail in part.details]
    assert ids == list(range(count))
    return engine, np.concatenate([part.vectors for part in found]), reasons, details


@given(
    count=st.integers(1, 40),
    size=st.integers(1, 17),
    fits=st.integers(1, 20),
    poisoned=st.sets(st.integers(0, 39), max_size=5),
    not_finite=st.sets(st.integers(0, 39), max_size=5),
    fixed=st.booleans(),
)
def test_each_image_has_its_own_vector_or_reason(count, size, fits, poisoned, not_finite, fixed):
    network = Network(fits=fits, fails_on=poisoned, not_finite=not_finite)
    engine, vectors, reasons, details = run(network, count, size, fixed=fixed)
    for row in range(count):
        wanted = "model_failed" if row in poisoned else "not_finite" if row in not_finite else None
        assert reasons[row] == wanted
        assert details[row] == ("index out of range" if row in poisoned else None)
        if wanted is None:
            np.testing.assert_allclose(vectors[row], expected([row])[0], atol=1e-6)
    # an image alone may fit where a batch does not, so that smaller batches may never have been needed
    assert engine.size <= fits or max(network.sizes) <= fits


def test_short_memory_halves_the_batches_for_good():
    network = Network(fits=3)
    with capture_logs() as logs:
        engine, _, reasons, _ = run(network, count=20, size=8)
    assert engine.size == 2
    assert [line["continuing_with"] for line in logs] == [4, 2]
    assert network.sizes[:2] == [8, 4]
    assert set(network.sizes[2:]) == {2}
    assert reasons == [None] * 20


def test_where_no_image_fits_the_shard_is_not_rejected():
    with pytest.raises(OutOfMemory, match="single image"):
        run(Network(fits=0))


def test_a_model_that_fails_on_every_picture_rejects_none():
    with pytest.raises(RuntimeError, match="device-side assert"):
        run(Network(fails_on=range(256), error="CUDA error: device-side assert triggered"))


def test_fixed_batches_are_filled_up():
    network = Network()
    run(network, count=20, size=8, fixed=True)
    assert network.sizes == [8, 8, 8]


@pytest.mark.parametrize(
    "backend",
    [
        "openvino",
        "onnx",
        pytest.param(
            "compile",
            marks=[pytest.mark.slow, pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles with g++")],
        ),
    ],
)
def test_backends_agree(random_model, backend):
    options = ModelOptions(name="m", source=str(random_model), batch_size=4)
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (6, 224, 224, 3), dtype=torch.uint8, generator=rng)
    parts = [Batch(pa.array([0, 1, 2, 3]), pixels[:4]), Batch(pa.array([4, 5]), pixels[4:])]
    engine = backends.load_engine(options, Settings(backend=backend, database_url=""), "cpu")
    found = np.concatenate([part.vectors for part in engine.embed(parts)])
    tower = load_image_tower(random_model, dtype="float32", device="cpu", use_cls_token=True)
    wanted = tower.embed(pixels).numpy()
    assert (found * wanted).sum(axis=1).min() >= 0.9999


def test_openvino_is_for_the_cpu():
    tower = ImageTower(2, (SIDE, SIDE), torch.device("meta"), Network(), "digest")
    with pytest.raises(UserError, match="runs on the CPU only"):
        backends.openvino_network(tower, "float32")
