"""Batches of a pack: whole, in the order of the seed, whatever the number of threads."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packs import encoded, write_pictures
from PIL import Image

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import load_settings
from image_retrieval.training.reading import batches, decoded, order
from image_retrieval.training.sampled import read_sampled


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore(load_settings())


@given(st.integers(1, 500), st.integers(0, 99), st.integers(0, 99))
def test_an_order_takes_each_picture_once_and_is_that_of_seed_and_epoch(count, seed, epoch):
    found = order(count, seed, epoch)
    assert sorted(found) == list(range(count))
    assert (found == order(count, seed, epoch)).all()


def test_epochs_differ():
    assert (order(100, 0, 0) != order(100, 0, 1)).any()
    assert (order(100, 0, 0) != order(100, 1, 0)).any()


def test_a_pack_says_what_is_learnt_and_what_looks_alike(pack, store):
    found = read_sampled(store, pack)
    assert len(found.learnt) == 96
    assert found.held_out.tolist() == list(range(96, 104))
    assert found.classes[:3].tolist() == [0, 0, 1]
    assert found.classes.max() == 94


@pytest.mark.parametrize("readers", [1, 5])
def test_pictures_come_whole_and_in_order_across_shards(tmp_path, store, monkeypatch, readers):
    monkeypatch.setattr("packs.A_SHARD", 20)
    monkeypatch.setattr("image_retrieval.training.reading.MOST_OPEN", 2)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (rng.integers(5, 30), rng.integers(5, 30), 3), np.uint8) for _ in range(90)]
    pack = read_sampled(store, write_pictures(tmp_path / "pack", pictures))
    assert len(pack.shards) == 5
    wanted = [np.array([89, 0, 45]), np.array([7]), *([np.arange(at, at + 9) for at in range(0, 81, 9)])]
    found = list(batches(pack, store, wanted, readers=readers))
    assert len(found) == len(wanted)
    for positions, batch in zip(wanted, found, strict=True):
        for at, (pixels, (high, wide)) in enumerate(zip(batch.pixels, batch.sizes, strict=True)):
            exact = np.asarray(Image.open(io.BytesIO(encoded(pictures[positions[at]]))))
            assert (pixels[:high, :wide] == exact).all()
            assert not pixels[high:].any()
            assert not pixels[:, wide:].any()


def test_large_pictures_are_decoded_at_a_fraction():
    data = encoded(np.zeros((320, 240, 3), np.uint8))
    assert decoded(data).shape == (320, 240, 3)
    assert decoded(data, 64).shape == (160, 120, 3)  # another half would be too small


def test_whoever_stops_early_leaves_no_file_open(pack, store):
    found = read_sampled(store, pack)
    reading = batches(found, store, (np.array([at]) for at in range(90)), readers=2)
    next(reading)
    reading.close()  # a warning about a file that was left open fails the test


def test_what_is_no_picture_is_told_with_its_place(tmp_path, store):
    folder = tmp_path / "pack"
    pack = read_sampled(store, write_pictures(folder, np.full((64, 8, 8, 3), 9, np.uint8)))
    whole = (folder / "00000.tar").read_bytes()
    at = int(pack.offset[5])
    (folder / "00000.tar").write_bytes(whole[:at] + b"\0" * int(pack.size[5]) + whole[at + int(pack.size[5]) :])
    with pytest.raises(UserError, match=rf"00000\.tar at byte {at} holds no JPEG.*pack the training set again"):
        list(batches(pack, store, [np.arange(64)], readers=2))
