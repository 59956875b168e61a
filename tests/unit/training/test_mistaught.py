"""Trainings that teach nothing good: the gate does not let them pass, and says why."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from packs import write_pictures
from PIL import Image

from image_retrieval.imaging.fingerprints import perceptual_hash
from image_retrieval.models.shipped import VISION
from image_retrieval.models.towers import ImageTower, load_image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import load_settings
from image_retrieval.training.gate import BEFORE, TRAINED, GateReport, judge
from image_retrieval.training.gating import COLUMNS
from image_retrieval.training.loop import Collapsed
from image_retrieval.training.objectives import diet
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.packs import THUMBNAIL_SIDE, read_index, read_pictures
from image_retrieval.training.records import read_record
from image_retrieval.training.running import run_training
from image_retrieval.training.samples import draw_samples

LEARNT, HELD_OUT, SIDE = 128, 104, 56


@pytest.fixture(scope="module")
def scenes() -> tuple[list[np.ndarray], list[str]]:
    """Pictures, and the shape and colour that each shows."""
    drawn = draw_samples(LEARNT + HELD_OUT, 0)
    return list(drawn.pixels), [f"{layout.main.hue} {layout.main.shape}" for layout in drawn.layouts]


@dataclass
class Packed:
    folder: str
    index: pa.Table

    def judged(self, trained: ImageTower, before: ImageTower) -> GateReport:
        read = partial(read_pictures, ObjectStore(load_settings()), self.folder, self.index)
        return judge({TRAINED: trained, BEFORE: before}, self.index, read)


def packed(folder: Path, pictures: list[np.ndarray], groups: list[str], clusters: list[int] | None = None) -> Packed:
    """A pack, whose last pictures are held out, and its index as `training pack` writes it."""
    written = write_pictures(folder, pictures, HELD_OUT, clusters)
    index = read_index(ObjectStore(load_settings()), written, COLUMNS)
    shown = [Image.fromarray(picture) for picture in pictures]
    true = {
        "group_id": groups,
        "phash": [perceptual_hash(picture.resize((32, 32))) for picture in shown],
        "thumbnail": [picture.resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.BOX).tobytes() for picture in shown],
    }
    for name, values in true.items():
        index = index.set_column(index.column_names.index(name), name, pa.array(values))
    return Packed(written, index)


def tower(folder: Path) -> ImageTower:
    return load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)


def test_one_that_learnt_random_labels_does_not_pass(scenes, tmp_path):
    pictures, groups = scenes
    labels = np.random.default_rng(0).integers(0, 8, len(pictures)).tolist()
    made = packed(tmp_path / "pack", pictures, groups, labels)
    out = tmp_path / "out"
    how = {"epochs": 8, "batch_size": 64, "crop": SIDE, "rate": 0.004}
    run_training(TrainingOptions(made.folder, "continue", str(VISION), **how), out, load_settings(), "cpu")
    report = made.judged(tower(out), tower(VISION))
    assert report.decision == "refused"
    assert report.reason.startswith("worse than before: ")
    assert report.copies == 0


def test_one_that_saw_copies_of_the_held_out_pictures_does_not_pass(scenes, tmp_path):
    pictures, groups = scenes
    copied = [*pictures[-2:], *pictures[2:]]  # two of those held out are learnt from, too
    made = packed(tmp_path / "pack", copied, groups)
    report = made.judged(tower(VISION), tower(VISION))
    assert (report.decision, report.copies) == ("refused", 2)
    assert report.reason == "2 held-out pictures have copies among those that it learnt from: pack anew"


@pytest.mark.parametrize(("smoothing", "collapses"), [(1.0, True), (0.3, False)])
def test_one_whose_classes_tell_nothing_is_stopped(pack, tiny, tmp_path, monkeypatch, smoothing, collapses):
    monkeypatch.setattr(diet, "SMOOTHING", smoothing)  # with 1, each picture shall be equally like all classes
    out = tmp_path / "out"
    how = {"epochs": 16, "batch_size": 32, "rate": 0.1}
    options = TrainingOptions(pack, "continue", str(tiny("resnet")), **how)
    if not collapses:
        assert run_training(options, out, load_settings(), "cpu").finished
        return
    with pytest.raises(Collapsed, match=r"stopped after epoch ., the vectors of all pictures become one .* lower --lr"):
        run_training(options, out, load_settings(), "cpu")
    assert read_record(ObjectStore(load_settings()), f"{out}/")["state"] == "collapsed"
    assert not (out / "model.safetensors").exists()
