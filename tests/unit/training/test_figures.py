"""Figures of vectors agree with formulas written as loops, and the verdict with its rules."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.training.figures import group_precision, lidar, ranks_of, spectrum
from image_retrieval.training.verdict import Difference, decide, difference

RNG = np.random.default_rng(0)


def unit(*shape):
    found = RNG.normal(size=shape)
    return (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)


def test_ranks_count_what_is_as_near_as_the_original():
    gallery, queries, own = unit(50, 8), unit(20, 8), RNG.integers(0, 50, 20)
    wanted = [
        sum(float(query @ other) >= float(query @ gallery[at]) for other in gallery)
        for query, at in zip(queries, own, strict=True)
    ]
    assert ranks_of(queries, gallery, own).tolist() == wanted
    alike = np.ones((50, 8), np.float32) / np.sqrt(8)
    assert (ranks_of(alike[:5], alike, np.arange(5)) == 50).all()


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(1, 12))
def test_group_precision_is_that_of_a_loop(groups, k):
    vectors, groups = unit(len(groups), 4), np.array(groups)
    wanted = []
    for row, group in enumerate(groups):
        others = [other for other in range(len(groups)) if other != row]
        same = [other for other in others if groups[other] == group]
        if same:
            asked = min(k, len(same))
            nearest = sorted(others, key=lambda other: (-float(vectors[row] @ vectors[other]), other))[:asked]
            wanted.append(sum(groups[other] == group for other in nearest) / asked)
    assert group_precision(vectors, groups, k).tolist() == pytest.approx(wanted)


def test_the_rank_of_equal_directions_is_their_number():
    flat = np.kron(np.eye(5), np.ones((20, 1))).astype(np.float32)
    assert spectrum(flat).rank_me == pytest.approx(5)
    assert spectrum(np.ones((10, 5), np.float32)).rank_me == pytest.approx(1)
    assert math.isinf(spectrum(np.ones((10, 5), np.float32)).alpha_req)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_the_decay_of_a_power_law_is_its_exponent(alpha):
    basis = np.linalg.qr(RNG.normal(size=(400, 64)))[0]
    basis -= basis.mean(axis=0)
    basis = np.linalg.qr(basis)[0]
    values = basis * (np.arange(1, 65) ** (-alpha / 2))
    assert spectrum(values.astype(np.float32)).alpha_req == pytest.approx(alpha, rel=0.02)


def test_lidar_counts_the_directions_in_which_pictures_differ():
    centres = np.zeros((60, 1, 16))
    centres[:, 0, :4] = RNG.normal(size=(60, 4))
    views = centres + 0.01 * RNG.normal(size=(60, 8, 16))
    assert 3 < lidar(views.astype(np.float32)) < 4.5
    assert lidar(np.ones((10, 4, 8), np.float32)) == 0


def test_a_difference_is_that_of_pairs():
    trained, other = np.array([1.0, 1, 1, 0]), np.array([0.0, 1, 0, 0])
    found = difference(trained, other)
    error = np.std([1, 0, 1, 0], ddof=1) / 2
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5 - 1.96 * error, 0.5 + 1.96 * error))
    assert difference(trained[:1], other[:1]) is None


BETTER, WORSE, SAME = Difference(0.1, 0.05, 0.15), Difference(-0.1, -0.15, -0.05), Difference(0, -0.01, 0.01)


@pytest.mark.parametrize(
    ("given", "decision"),
    [
        ((500, 0, BETTER, None), "passed"),
        ((500, 0, BETTER, SAME), "passed"),
        ((500, 0, SAME, BETTER), "passed"),
        ((500, 0, BETTER, WORSE), "refused"),
        ((500, 0, WORSE, BETTER), "refused"),
        ((500, 0, SAME, SAME), "undecided"),
        ((500, 0, SAME, None), "undecided"),
        ((99, 0, BETTER, BETTER), "undecided"),
        ((500, 3, BETTER, BETTER), "refused"),
    ],
)
def test_the_verdict_follows_its_rules(given, decision):
    assert decide(*given).decision == decision
