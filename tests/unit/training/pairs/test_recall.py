from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from image_retrieval.training.pairs.recall import AT, both_ways, recall
from image_retrieval.training.pairs.texts import text_set


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 30))
def test_recall_is_what_sorting_finds(seed, queries, among):
    rng = np.random.default_rng(seed)
    asked, gallery = (rng.normal(size=(count, 5)).astype(np.float32) for count in (queries, among))
    own = rng.random((queries, among)) < 0.2
    found = recall(asked, gallery, own.__getitem__)
    order = np.argsort(-(asked @ gallery.T), axis=1)
    for k in AT:
        hits = [own[at, order[at, :k]].any() for at in range(queries) if own[at].any()]
        assert abs(found.found[f"R@{k}"] - (np.mean(hits) if hits else 0)) < 1e-9
    assert found.queries == own.any(axis=1).sum()


def test_chance_is_the_share_of_all_orders():
    own = np.array([[True, True, False, False, False, False, False]])
    found = recall(np.ones((1, 2), np.float32), np.ones((7, 2), np.float32), own.__getitem__)
    orders = list(permutations(range(7), 5))
    assert abs(found.chance["R@5"] - np.mean([bool({0, 1} & set(order)) for order in orders])) < 1e-12
    assert found.chance["R@10"] == 1.0


def test_vectors_that_are_all_alike_find_nothing():
    found = recall(np.ones((20, 4), np.float32), np.ones((20, 4), np.float32), np.eye(20, dtype=bool).__getitem__)
    assert found.found == {"R@1": 0.0, "R@5": 0.0, "R@10": 0.0}


def test_each_language_searches_in_both_directions():
    texts = text_set([[("cat", "en"), ("猫", "zh")], [("dog", "en")], [("Cat", "en")]])
    vectors = np.eye(3, dtype=np.float32)
    of_texts = np.stack([vectors[0], vectors[1], vectors[1]])  # cat, 猫, dog: the Chinese one is wrong
    found = both_ways(texts, of_texts, vectors, np.arange(3), np.arange(3))
    assert found["en"]["text_to_image"].found["R@1"] == 1.0
    assert found["en"]["image_to_text"].queries == 3
    assert found["zh"]["text_to_image"].found["R@1"] == 0.0
    assert found["zh"]["image_to_text"].among == 1
