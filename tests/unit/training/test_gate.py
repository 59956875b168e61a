"""The gate tells a better model from a worse one on real vectors, and shows what both find."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from image_retrieval import models
from image_retrieval.errors import UserError
from image_retrieval.imaging.fingerprints import perceptual_hash
from image_retrieval.models.towers import load_image_tower
from image_retrieval.scenes import draw_scenes
from image_retrieval.training.copies import count_copies
from image_retrieval.training.gate import BEFORE, EXAMPLES, START, TRAINED, example_pictures, judge
from image_retrieval.training.packs import THUMBNAIL_SIDE
from image_retrieval.training.report_card import card, draw_examples

COUNT = 116
SHIPPED = Path(models.__file__).parent / "shipped" / "scenes_vision"


def shrunk(image):
    return image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes()


@pytest.fixture(scope="module")
def scenes():
    """Drawn scenes without those that are drawn again, nearly the same."""
    return [scene for scene in draw_scenes(2 * COUNT) if "_again" not in scene.key][:COUNT]


@pytest.fixture(scope="module")
def pictures(scenes):
    return [Image.open(io.BytesIO(scene.data)).convert("RGB").resize((160, 120)) for scene in scenes]


@pytest.fixture(scope="module")
def index(pictures, scenes):
    """All but ten pictures are held out; every second one is in the group of its shape and colour."""
    return pa.table(
        {
            "held_out": [place >= 10 for place in range(COUNT)],
            "group_id": [scene.key.partition("/")[0] if place % 2 else None for place, scene in enumerate(scenes)],
            "phash": [perceptual_hash(picture.resize((32, 32))) for picture in pictures],
            "thumbnail": [shrunk(picture) for picture in pictures],
        }
    )


@pytest.fixture(scope="module")
def good():
    return load_image_tower(SHIPPED, dtype="float32", device="cpu", use_cls_token=True)


@pytest.fixture(scope="module")
def bad(good):
    """The same vectors with noise, the same for the same pixels."""

    class Noisy(torch.nn.Module):
        def forward(self, pixels):
            seeds = pixels.flatten(1).double().sum(dim=1)
            vectors = good.network(pixels)
            for row, seed in enumerate(seeds.tolist()):
                noise = torch.randn(vectors.shape[1], generator=torch.Generator().manual_seed(int(seed)))
                vectors[row] += 0.2 * noise
            return torch.nn.functional.normalize(vectors, dim=1)

    return dataclasses.replace(good, network=Noisy())


@pytest.fixture(scope="module")
def read(pictures):
    return lambda places: (pictures[place] for place in places.tolist())


@pytest.fixture(scope="module")
def better(good, bad, index, read):
    return judge({TRAINED: good, BEFORE: bad}, index, read)


def test_the_better_model_passes_and_the_worse_one_is_refused(better, good, bad, index, read):
    assert better.decision == "passed", better.reason
    assert (better.held_out, better.queries, better.copies) == (106, 318, 0)
    assert better.originals.low > 0
    worse = judge({TRAINED: bad, BEFORE: good}, index, read)
    assert worse.decision == "refused"
    assert worse.originals.mean == pytest.approx(-better.originals.mean)


def test_copies_of_held_out_pictures_are_counted(index):
    learnt = index.slice(0, 10)
    copied = index.slice(20, 3).set_column(0, "held_out", pa.array([False] * 3))
    assert count_copies(pa.concat_tables([learnt, copied, index.slice(10)])) == 3
    assert count_copies(index) == 0


def test_the_card_and_the_picture_show_the_figures_and_the_answers(better, index, read):
    report = better
    text = card(report, {BEFORE: "noisy"})
    assert text.startswith("# Passed\n\nBetter than before: ")
    assert f"{report.figures[TRAINED].recall_at_1['crop']:.1%}" in text
    assert "| | trained | noisy |" in text
    assert len(report.examples) == EXAMPLES
    shown = [(example, example_pictures(example, report, index, read)) for example in report.examples]
    for example, (query, *answers) in shown:
        assert answers[0].tobytes() == next(read(np.array(example.trained[:1]))).tobytes()
        assert query.size != answers[0].size or query.tobytes() != answers[0].tobytes()
    assert draw_examples(shown).size[1] > 6 * 112


def test_the_start_is_measured_and_decides_nothing(better, good, bad, index, read):
    report = judge({TRAINED: good, BEFORE: bad, START: good}, index, read)
    assert report.figures[START] == report.figures[TRAINED]
    assert (report.decision, report.originals, report.examples) == (better.decision, better.originals, better.examples)
    head, _, first = card(report, {BEFORE: "noisy", START: "good"}).splitlines()[6:9]
    assert head == "| | trained | noisy | its start, good |"
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells[1] == cells[3] != cells[2]


def test_too_few_held_out_pictures_are_told(good, index, read):
    with pytest.raises(UserError, match="1 pictures are held out"):
        judge({TRAINED: good, BEFORE: good}, index.slice(0, 11), read)
