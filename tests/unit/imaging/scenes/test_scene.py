import pytest

from image_retrieval.scenes import NEAR_DUPLICATE_EVERY, draw_scenes
from unit.imaging.pictures import opened, psnr

SCENES = list(draw_scenes(20))
NEAR = [scene for scene in SCENES if scene.key.endswith("_again.jpg")]


def test_the_same_seed_draws_the_same_scenes():
    assert list(draw_scenes(20)) == SCENES


def test_another_seed_draws_other_scenes():
    others = list(draw_scenes(6, seed=1))
    assert [scene.key for scene in others] == [scene.key for scene in SCENES[:6]]
    assert not {scene.data for scene in others} & {scene.data for scene in SCENES}


@pytest.mark.parametrize("count", [0, 1, 2, 9, 10])
def test_fewer_scenes_are_the_first_of_more(count):
    assert list(draw_scenes(count)) == SCENES[:count]


def test_every_scene_has_a_key_of_its_own_and_other_pixels():
    assert len({scene.key for scene in SCENES}) == len({scene.data for scene in SCENES}) == 20


def test_the_key_tells_the_class_and_the_format():
    formats = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
    for scene in SCENES:
        kind, _, name = scene.key.partition("/")
        assert kind == f"{scene.layout.main.hue}-{scene.layout.main.shape}"
        assert opened(scene.data).format == formats[name.partition(".")[2]]


def test_every_eighth_scene_has_a_near_duplicate():
    numbers = [int(scene.key.partition("/")[2][:4]) for scene in NEAR]
    assert numbers == list(range(0, 18, NEAR_DUPLICATE_EVERY))


@pytest.mark.parametrize("near", NEAR, ids=lambda scene: scene.key)
def test_a_near_duplicate_looks_like_its_original(near):
    stem = near.key.removesuffix("_again.jpg")
    original = next(scene for scene in SCENES if scene.key.startswith(f"{stem}."))
    small = [opened(scene.data).convert("RGB").resize((32, 32)).tobytes() for scene in (near, original)]
    assert near.data != original.data
    assert psnr(*small) > 20


def test_a_near_duplicate_has_the_captions_of_its_original():
    for near in NEAR:
        original = next(scene for scene in SCENES if scene.key.startswith(near.key.removesuffix("_again.jpg") + "."))
        assert (near.layout, near.captions) == (original.layout, original.captions)


def test_captions_grow_and_the_longest_tells_everything():
    for scene in SCENES:
        claims = [caption.claim for caption in scene.captions]
        assert [claim.ground for claim in claims[::2]] == [None, scene.layout.ground]
        assert (claims[-1].other is None) == (scene.layout.companion is None)
        assert len(scene.captions[0].english) < len(scene.captions[-1].english)
        assert len(scene.captions[0].chinese) < len(scene.captions[-1].chinese)
