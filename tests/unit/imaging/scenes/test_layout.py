import math
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.scenes.layout import HUES, SHAPES, lay_out

LAYOUTS = st.builds(lay_out, st.integers(0, 10_000), st.integers(0, 2**31))


@given(LAYOUTS)
def test_things_lie_inside_the_picture_and_do_not_touch(layout):
    things = [thing for group in (layout.main, layout.companion) if group for thing in group.things]
    for thing in things:
        assert thing.radius <= thing.x <= layout.width - thing.radius
        assert thing.radius <= thing.y <= layout.height - thing.radius
    for one, other in combinations(things, 2):
        assert math.hypot(one.x - other.x, one.y - other.y) > one.radius + other.radius


@given(LAYOUTS)
def test_small_things_are_smaller_than_large_ones(layout):
    for group in filter(None, (layout.main, layout.companion)):
        for thing in group.things:
            assert thing.radius <= 48 if group.size == "small" else thing.radius > 50


@given(LAYOUTS)
def test_the_companion_is_alone_of_another_kind_and_less_than_the_main_things(layout):
    if layout.companion is None:
        assert layout.relation is None
        return
    main, companion = layout.main, layout.companion
    assert len(companion.things) == 1
    assert companion.shape != main.shape
    assert companion.hue != main.hue
    assert len(main.things) > 1 or (main.size, companion.size) == ("large", "small")


@given(LAYOUTS)
def test_the_relation_is_where_all_main_things_lie(layout):
    if layout.companion is None:
        return
    (companion,) = layout.companion.things
    for thing in layout.main.things:
        gaps = {
            "left": companion.x - thing.x,
            "right": thing.x - companion.x,
            "above": companion.y - thing.y,
            "below": thing.y - companion.y,
        }
        assert gaps[layout.relation] > 0


def test_classes_take_turns():
    kinds = [(layout.main.shape, layout.main.hue) for layout in (lay_out(number, 5) for number in range(72))]
    assert len(set(kinds)) == len(SHAPES) * len(HUES) == 36
    assert kinds[:36] == kinds[36:]
