import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.scenes.captions import Claim, Kind, describe, put_into_words, words
from image_retrieval.scenes.layout import Group, Layout, Thing, lay_out

LAYOUTS = st.builds(lay_out, st.integers(0, 10_000), st.integers(0, 2**31))
CHANCES = st.integers(0, 2**31).map(random.Random)
LENGTHS = st.sampled_from(("short", "middling", "full"))
THING = Thing(100, 100, 30, 0)
CIRCLES = Group("circle", "red", "plain", "small", (THING, THING))
SQUARE = Group("square", "blue", "striped", "large", (THING,))
SCENE = Layout(480, 360, "white", CIRCLES, SQUARE, "left")
ALONE = Layout(480, 360, "grey", CIRCLES, None, None)


@given(LAYOUTS, LENGTHS, CHANCES)
def test_a_caption_holds_of_its_own_scene(layout, length, rng):
    assert describe(layout, length, rng).claim.holds(layout)


@given(LAYOUTS, LENGTHS, CHANCES)
def test_captions_are_made_of_known_words(layout, length, rng):
    caption = describe(layout, length, rng)
    assert set(caption.english.split()) <= set(words())
    assert set(caption.chinese) <= set(words())
    assert re.fullmatch("[a-z0-9 ]+", caption.english)
    assert not re.search("[a-z ]", caption.chinese)


@given(LAYOUTS, LAYOUTS, CHANCES)
def test_a_full_caption_holds_of_no_scene_that_differs(one, other, rng):
    def facts(layout):
        groups = [
            group and (group.shape, group.hue, group.texture, group.size, len(group.things))
            for group in (layout.main, layout.companion)
        ]
        return layout.ground, layout.relation, groups

    claim = describe(one, "full", rng).claim
    if one.companion is not None:  # without, what is said of the main things may hold of a companion
        assert claim.holds(other) == (facts(one) == facts(other))


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (Claim(Kind("circle")), True),
        (Claim(Kind("circle", "red", count=2)), True),
        (Claim(Kind("circle", "red", count=3)), False),
        (Claim(Kind("square", texture="striped")), True),
        (Claim(Kind("square", "red")), False),
        (Claim(Kind("circle"), Kind("square"), "left"), True),
        (Claim(Kind("square"), Kind("circle"), "right"), True),
        (Claim(Kind("square"), Kind("circle"), "left"), False),
        (Claim(Kind("square"), Kind("circle")), True),
        (Claim(Kind("circle"), ground="grey"), False),
    ],
)
def test_what_a_claim_holds_of(claim, holds):
    assert claim.holds(SCENE) is holds


def test_a_claim_of_two_kinds_holds_of_no_scene_of_one():
    assert not Claim(Kind("circle"), Kind("square")).holds(ALONE)


def test_the_same_claim_in_both_languages():
    claim = Claim(Kind("circle", "red", count=2), Kind("square", texture="striped", count=1), "left")
    told = [put_into_words(claim, random.Random(seed)) for seed in range(200)]
    assert "two red circles left of a striped square" in {caption.english for caption in told}
    assert "a striped square right of two red circles" in {caption.english for caption in told}
    assert "条纹正方形左边有两个红色圆形" in {caption.chinese for caption in told}
