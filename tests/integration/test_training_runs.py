"""A training reads its pack from a bucket by ranges, and its model fills a collection."""

import json

import numpy as np
import pytest
from packs import write_pictures

from image_retrieval.training.photolike import draw_clouds
from image_retrieval.training.reading import batches
from image_retrieval.training.sampled import read_sampled
from integration.pictures import put


@pytest.fixture
def packs(store, collection, tmp_path) -> tuple[str, str]:
    """The same pack in a folder and in a bucket."""
    here = write_pictures(tmp_path / "pack", list(draw_clouds(72, 0)[:, :40, :48]), held_out=8)
    there = collection.source.rstrip("/") + "-pack/"
    put(store, there, {path.name: path.read_bytes() for path in (tmp_path / "pack").iterdir()})
    return here, there


def test_a_bucket_gives_the_batches_that_a_folder_gives(store, packs):
    here, there = (read_sampled(store, folder) for folder in packs)
    assert here.digest == there.digest
    wanted = [np.array([71, 0, 5]), np.arange(30)]
    for one, other in zip(*(batches(pack, store, wanted, readers=3) for pack in (here, there)), strict=True):
        assert (one.pixels == other.pixels).all()
        assert (one.sizes == other.sizes).all()


def test_a_model_trained_into_a_bucket_is_one_that_the_house_checks(report, store, packs, random_model):
    out = packs[1].replace("-pack/", "-trained")
    given = ["--start", str(random_model), "--crop", "48", "--epochs", "1", "--batch-size", "32"]
    figures = report("training", "run", packs[1], out, *given)
    assert figures["finished"]
    assert json.loads(store.read(f"{out}/training.json"))["data"]["pack"] == packs[1]
    assert report("healthcheck", "--model", out)["dimensions"] == 192
