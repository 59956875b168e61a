"""The queries of `python -m benchmarks.compositional` ask for what is there, and words are weighed as BM25 says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bm25 import B, Bm25, K, words_of
from benchmarks.compositional import NOT, by_words, make_queries, of_both, recall
from image_retrieval.scenes.layout import lay_out

LAYOUTS = [lay_out(number, 1) for number in range(200)]
texts = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), min_size=1, max_size=8)


@given(texts, st.lists(st.sampled_from("abcdefgh"), max_size=4))
def test_scores_are_those_of_the_formula(texts, query):
    found, mean = Bm25(texts), sum(map(len, texts)) / len(texts)
    for at, text in enumerate(texts):
        expected = 0.0
        for word in query:
            holding = sum(word in other for other in texts)
            rarity = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            long = K * (1 - B + B * len(text) / mean)
            expected += rarity * text.count(word) * (K + 1) / (text.count(word) + long)
        assert found.scores(query)[at] == pytest.approx(expected)
        assert found.holding(query)[at] == (bool(query) and set(query) <= set(text))


def test_words_of_both_languages():
    assert words_of("Two red crosses and a Circle") == ["two", "red", "cross", "and", "a", "circle"]
    assert words_of("两个圆形，2个") == [*"两个圆形", "两个", "个圆", "圆形", "2", "个"]


def test_queries_differ_and_are_true_of_a_scene_and_not_of_all():
    queries = make_queries(LAYOUTS, 90, 0)
    assert len({(query.claim, query.missing) for query in queries}) == len(queries) > 80
    for query in queries:
        held = [query.holds(layout) for layout in LAYOUTS]
        assert 0 < sum(held) < len(held)
        if query.missing is not None:
            assert sum(query.claim.holds(layout) for layout in LAYOUTS) > sum(held)
            assert all(NOT[language] in text for language, text in query.texts.items())


def test_what_shall_be_missing_comes_last():
    told = Bm25([words_of(text) for text in ("a red star and a ring", "a blue star", "a red star")])
    assert by_words("red star without rings", "en", told).argsort().tolist() == [0, 1, 2]
    both = of_both(np.array([0.9, 0.1, 0.5]), by_words("red star without rings", "en", told))
    assert both.argsort().tolist() == [0, 1, 2]
    assert recall(both, np.array([False, False, True])) == 1
