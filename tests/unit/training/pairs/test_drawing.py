"""Each picture comes once an epoch, beside one that looks like it as long as there is one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.training.pairs.drawing import beside, drawn
from image_retrieval.training.pairs.texts import text_set


@st.composite
def neighbours(draw):
    count = draw(st.integers(1, 30))
    near = [draw(st.lists(st.integers(0, count - 1).filter(lambda each, own=own: each != own), max_size=5))
            for own in range(count)]  # fmt: skip
    return count, [np.array(sorted(set(each)), np.int64) for each in near]


@given(neighbours(), st.integers(0, 9))
def test_a_picture_has_one_that_is_left_beside_it(found, seed):
    count, near = found
    taken = np.random.default_rng(seed).permutation(count)
    ordered = beside(taken, near, np.random.default_rng(seed)).tolist()
    assert sorted(ordered) == list(range(count))
    assert ordered == beside(taken, near, np.random.default_rng(seed)).tolist()
    at, left = 0, set(range(count))
    while at < count:
        picture = ordered[at]
        left.discard(picture)
        free = left & set(near[picture].tolist())
        if free:
            assert ordered[at + 1] in free
            left.discard(ordered[at + 1])
            at += 1
        at += 1


def test_steps_hold_pairs_of_pictures_that_look_alike():
    texts = text_set([[(f"text {at}", "en")] for at in range(40)])
    learnt = np.arange(32)
    near = [np.array([at ^ 1], np.int64) for at in range(40)]
    for epoch in range(3):
        steps = list(drawn(texts, learnt, 8, 5, epoch, near))
        assert sorted(np.concatenate([pictures for pictures, _ in steps]).tolist()) == learnt.tolist()
        for pictures, chosen in steps:
            assert {at ^ 1 for at in pictures.tolist()} == set(pictures.tolist())
            assert all(texts.hold(chosen, pictures).diagonal())
    plain, other = ([p.tolist() for p, _ in drawn(texts, learnt, 8, 5, 0, given_)] for given_ in (None, near))
    assert plain != other
