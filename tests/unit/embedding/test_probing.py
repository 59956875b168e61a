"""A shard leaves the probes of its model, once, and is none the worse if it cannot."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.backends import load_engine
from image_retrieval.embedding.embed_shard import embed_shard
from image_retrieval.embedding.engine import Embedded
from image_retrieval.embedding.probing import Sampler
from image_retrieval.embedding.reader import Batch, sample_of
from image_retrieval.models.calibration import FILE
from image_retrieval.models.probes import COPIES, SAMPLE, read_probes
from image_retrieval.models.shipped import DUAL
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from unit.embedding.packed import pack

SIDE = 112


@pytest.fixture
def shard(tmp_path):
    """Embed a shard of 20 pictures, whose probes belong at the returned place."""
    settings = Settings(home=tmp_path, database_url="", backend="torch")
    folder = shutil.copytree(DUAL, tmp_path / "dual", ignore=shutil.ignore_patterns(FILE))

    def embed(output="out.parquet", source=folder):
        place, model = tmp_path / "probes" / "m.parquet", ModelOptions(name="m", source=str(source), batch_size=8)
        pack(tmp_path / "packed.parquet", 20, rejected=(3,), side=SIDE)
        table = pq.read_table(tmp_path / "packed.parquet")
        facts = {**table.schema.metadata, b"probes": str(place).encode()}
        pq.write_table(table.replace_schema_metadata(facts), tmp_path / "in.parquet")
        with capture_logs() as logs:
            given = (str(tmp_path / "in.parquet"), str(tmp_path / output), model)
            embed_shard(*given, lambda: load_engine(model, settings, "cpu"), settings)
        assert len(pq.read_table(tmp_path / output)) == 19
        return place, [line["event"] for line in logs]

    return embed


def test_a_shard_leaves_the_probes_of_its_model_once(shard):
    place, events = shard()
    probes = read_probes(ObjectStore(Settings(database_url="")), str(place))
    assert (probes.pictures, len(probes.copies), {*probes.texts}) == (19, 19, {"en", "zh"})
    assert events[-1] == "probed the model"
    made = place.read_bytes()
    assert shard("again.parquet")[1][-1] == "embedded"
    assert place.read_bytes() == made


def test_pictures_are_taken_from_all_over_a_shard_of_which_many_were_rejected(tmp_path):
    pack(tmp_path / "packed.parquet", 200, rejected=tuple(range(100)), side=SIDE)
    with pq.ParquetFile(tmp_path / "packed.parquet") as file:
        sampler = Sampler(sample_of(file).images)
    pixels = torch.zeros((100, 4, 4, 3), dtype=torch.uint8)
    vectors = np.ones((100, 2), np.float32)
    [*sampler.pictures([Batch(pa.array(range(100)), pixels)])]
    [*sampler.vectors([Embedded(pa.array(range(100)), vectors, [None] * 100, [None] * 100)])]
    assert [len(kept) for kept in sampler.kept()] == [COPIES, COPIES, 100]


def test_a_model_that_brings_its_calibration_leaves_none(shard):
    place, _ = shard(source=DUAL)
    assert not place.exists()


def test_a_shard_that_cannot_leave_them_is_done_all_the_same(shard, tmp_path):
    (tmp_path / "probes").write_text("a file where the folder should be")
    assert shard()[1][-1] == "the model was not probed"


def test_probes_that_cannot_be_read_are_written_again(shard, tmp_path):
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "m.parquet").write_bytes(b"not Parquet")
    place, events = shard()
    assert events[-1] == "probed the model"
    assert read_probes(ObjectStore(Settings(database_url="")), str(place)).pictures == 19


@given(st.integers(1, 5000), st.integers(1, 700), st.sets(st.integers(0, 4999), max_size=5))
def test_a_sampler_passes_everything_on_and_keeps_pictures_with_their_own_vectors(images, size, failed):
    def batches():
        for first in range(0, images, size):
            numbers = torch.arange(first, min(images, first + size))
            yield Batch(pa.array(numbers.numpy()), numbers.view(-1, 1, 1, 1).expand(-1, 1, 1, 3))

    def embedded(given):
        for batch in given:
            reasons = ["failed" if at in failed else None for at in batch.ids.to_pylist()]
            yield Embedded(batch.ids, batch.pixels[:, 0, 0, :1].float().numpy(), reasons, reasons)

    sampler = Sampler(images)
    passed = [at for batch in sampler.vectors(embedded(sampler.pictures(batches()))) for at in batch.ids.to_pylist()]
    pixels, of_pictures, vectors = sampler.kept()
    assert passed == [*range(images)]
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], of_pictures[:, 0])
    numbers = {*vectors[:, 0].astype(int)}
    assert len(vectors) == len(numbers)
    assert not numbers & failed
    assert min(images, COPIES) - len(failed) <= len(pixels) <= min(images, COPIES)
    assert min(images, SAMPLE) - len(failed) <= len(vectors) <= SAMPLE + COPIES
    assert len(pixels) < 20 or np.ptp(of_pictures) > images * 0.6  # all over the shard
