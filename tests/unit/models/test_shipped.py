"""The weights that ship, on fewer scenes than `python -m benchmarks.shipped` takes; no training saw them."""

import pytest

from benchmarks import captions
from benchmarks.calibration import measure
from benchmarks.caption_facts import ASPECTS
from benchmarks.shipped import distinct, embed, from_texts, likeness, load
from image_retrieval.models.shipped import CAPTIONER, DUAL, VISION
from image_retrieval.scenes import draw_scenes

LARGEST = 8_000_000  # bytes
SCENES = list(draw_scenes(450, 2))


@pytest.mark.parametrize("folder", [VISION, DUAL, CAPTIONER], ids=lambda folder: folder.name)
def test_a_model_is_small_and_has_its_card(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST
    card = (folder / "README.md").read_text()
    assert f"python -m image_retrieval.training.{folder.name.removeprefix('scenes_')} " in card


def test_scenes_of_a_class_are_near_and_copies_nearest():
    figures = likeness(SCENES, embed(load(VISION), [scene.data for scene in SCENES]))
    assert figures["near_duplicates_first"] >= 0.98
    assert figures["precision_at_10"] >= 0.7  # a class has hardly more than ten here


def test_captions_find_their_scenes_in_both_languages():
    captioned = [SCENES[at] for at in distinct(SCENES, 300)]
    vectors = embed(load(DUAL), [scene.data for scene in captioned])
    figures = from_texts(captioned, vectors, DUAL, short=50)
    for language in ("en", "zh"):
        assert figures[f"recall_at_1_{language}"] >= 0.95
        assert figures[f"recall_at_5_{language}"] >= 0.99
        assert figures[f"short_caption_recall_at_5_{language}"] >= 0.8
        assert figures[f"above_absent_{language}"] >= 0.95
    assert abs(figures["recall_at_1_en"] - figures["recall_at_1_zh"]) <= 0.03


@pytest.mark.parametrize("language", captions.LANGUAGES)
def test_captions_tell_what_is_there(language, told):
    rights = dict(zip(ASPECTS, told[language].mean(axis=0), strict=True))
    assert {aspect: share for aspect, share in rights.items() if share < 0.8} == {}
    assert min(rights[aspect] for aspect in ("shape", "colour", "count")) >= 0.9


@pytest.fixture(scope="module")
def told():
    return captions.measure(CAPTIONER, SCENES[:48])


@pytest.mark.slow
def test_what_is_shown_by_default_is_right_and_for_what_is_not_there_nothing_is():
    figures = measure(VISION, DUAL, 400)
    assert {direction: found for direction, found in figures.items() if found["right"] < 0.95} == {}
    assert {direction: found for direction, found in figures.items() if found["quiet"] < 0.9} == {}
    for language in ("en", "zh"):
        assert figures[f"dual_text_image_{language}"]["quiet_caption"] >= 0.9
