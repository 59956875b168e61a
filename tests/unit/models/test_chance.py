"""Scores fitted without labels mean what they say on the samples that they were fitted to."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.models.calibration import CUTOFF, SAME
from image_retrieval.models.chance import (
    LOST,
    MOST_NAMED,
    NAMED,
    RATE,
    NotFitted,
    fit_images,
    fit_texts,
)

SEEDS, SIZES = st.integers(0, 2**32 - 1), st.integers(30, 10**7)
PLACES, SCALES = st.floats(-0.3, 0.3), st.floats(0.002, 0.03)
NONE = np.empty(0)


def maxima(seed, place, scale, count=100):
    return np.random.default_rng(seed).gumbel(place, scale, count)


def require_scores(calibration, a, b):
    """Scores lie in [0, 1], never fall as the cosine rises, and are 1 for what is identical."""
    scores = [calibration.score(cosine) for cosine in sorted((a, b))]
    assert 0 <= scores[0] <= scores[1] <= 1
    assert calibration.score(1.0) == calibration.score(SAME) == 1
    assert calibration.score(calibration.middle) == pytest.approx(CUTOFF)


@given(SEEDS, PLACES, SCALES, SIZES, st.floats(-1, 1), st.floats(-1, 1))
def test_scores_of_texts_rise_from_0_to_1(seed, place, scale, vectors, a, b):
    require_scores(fit_texts(maxima(seed, place, scale), NONE, vectors, min(vectors, 1000)), a, b)


@given(SEEDS, PLACES, SCALES, SIZES, st.floats(-1, 1), st.floats(-1, 1))
def test_scores_of_pictures_rise_from_0_to_1(seed, place, scale, vectors, a, b):
    pairs = np.random.default_rng(seed).normal(place, scale, 435)
    require_scores(fit_images(pairs, np.linspace(0.9, 1, 64), vectors), a, b)


@given(SEEDS, PLACES, SCALES, st.integers(40, 300))
def test_of_the_phrases_that_it_was_fitted_to_no_more_than_the_rate_reach_the_cutoff(seed, place, scale, count):
    best = maxima(seed, place, scale, count)
    assert (best >= fit_texts(best, NONE, 1000, 1000).cosine(CUTOFF)).mean() <= RATE


@given(SEEDS, PLACES, SCALES)
def test_it_holds_of_other_phrases_too(seed, place, scale):
    middle = fit_texts(maxima(seed, place, scale), NONE, 1000, 1000).middle
    assert (maxima(seed + 1, place, scale, 10_000) >= middle).mean() <= 5 * RATE


@given(SEEDS, st.floats(0.05, 0.2), st.sampled_from([100, 1000, 10_000]))
def test_a_search_by_a_picture_shows_no_more_by_chance_than_the_rate(seed, spread, vectors):
    rng = np.random.default_rng(seed)
    middle = fit_images(rng.normal(0.1, spread / 4, 20_000), NONE, vectors).middle
    assert vectors * (rng.normal(0.1, spread / 4, 200_000) >= middle).mean() <= 2 * RATE


def ranks(count):
    """The shares of a distribution that lie under each of its `count` values, in order."""
    return (np.arange(count) + 0.5) / count


@given(PLACES, st.floats(0.002, 0.02), st.integers(30, 1000))
def test_the_cutoff_is_where_an_exponential_tail_has_the_rate(place, scale, vectors):
    pairs = place - scale * np.log(1 - ranks(20_000))
    found = fit_images(pairs, NONE, vectors)
    assert found.middle == pytest.approx(place + scale * math.log(vectors / RATE), abs=scale / 50)
    assert found.slope == pytest.approx(1 / scale, rel=0.01)


@given(PLACES, SCALES, st.integers(1, 10**4))
def test_the_cutoff_is_where_maxima_by_chance_have_the_rate(place, scale, times):
    best = place - scale * np.log(-np.log(ranks(2_000)))
    found = fit_texts(best, NONE, 1000 * times, 1000)
    wanted = place + scale * (math.log(times) - math.log(-math.log(1 - RATE)))
    assert found.middle == pytest.approx(wanted, abs=scale / 50)
    assert found.slope == pytest.approx(1 / scale, rel=0.01)


@given(SEEDS, SCALES, st.floats(0.1, 0.5), st.integers(1, 10**4), st.integers(1, 10**4))
def test_the_size_of_a_collection_never_hides_what_a_quarter_of_its_pictures_reach(seed, scale, place, few, many):
    rng = np.random.default_rng(seed)
    best, named = maxima(seed, 0.1, scale), rng.normal(place, 0.05, 1000)
    alone = fit_texts(best, named, 1000, 1000).middle
    least, middle = (fit_texts(best, named, 1000 * times, 1000).middle for times in sorted((few, many)))
    assert alone <= least <= middle <= max(alone, np.quantile(named, MOST_NAMED))


def test_pairs_that_are_alike_for_a_reason_do_not_move_the_cutoff_much():
    rng = np.random.default_rng(0)
    chance, kin = rng.normal(0.2, 0.05, 20_000), rng.normal(0.7, 0.05, 400)
    alone = fit_images(chance, NONE, 1000).middle
    assert fit_images(np.append(chance, kin), NONE, 1000).middle == pytest.approx(alone, abs=0.05)


def test_a_larger_collection_has_more_chances():
    best, pairs = maxima(0, 0.1, 0.02), np.random.default_rng(0).normal(0.1, 0.02, 435)
    assert fit_texts(best, NONE, 100_000, 1000).middle > fit_texts(best, NONE, 1000, 1000).middle
    assert fit_images(pairs, NONE, 100_000).middle > fit_images(pairs, NONE, 1000).middle


@given(SEEDS, st.floats(0.2, 0.6), SIZES)
def test_the_cutoff_shows_nearly_all_copies(seed, least, vectors):
    rng = np.random.default_rng(seed)
    copies = rng.uniform(least, 1, 64)
    try:
        found = fit_images(rng.normal(0.1, 0.05, 435), copies, vectors)
    except NotFitted:  # some copies are no more alike than pairs
        return
    assert (copies < found.middle).mean() <= LOST


def test_one_phrase_that_is_about_something_does_not_count():
    best = maxima(0, 0.1, 0.02)
    assert fit_texts(np.append(best[1:], 0.9), NONE, 1000, 1000).middle == pytest.approx(
        fit_texts(best, NONE, 1000, 1000).middle, abs=0.02
    )


@pytest.mark.parametrize(
    ("pairs", "copies", "reason"),
    [
        (np.ones(435), np.ones(64), "all pictures are alike"),
        (np.full(435, 0.3) + np.arange(435) * 1e-8, NONE, "all pictures are alike"),
        (np.linspace(0.2, 0.9, 435), np.linspace(0.1, 0.9, 64), "no more alike than random pairs"),
        (np.linspace(0, 1, 435), NONE, "chance alone would reach any cosine"),
        (np.append(np.linspace(0, 0.5, 434), np.nan), NONE, "NaN"),
        (np.linspace(0, 0.5, 435), np.full(64, np.nan), "NaN"),
        (NONE, NONE, "no vectors"),
    ],
)
def test_pictures_that_cannot_be_calibrated_say_why(pairs, copies, reason):
    with pytest.raises(NotFitted, match=reason):
        fit_images(pairs, copies, 1000)


@pytest.mark.parametrize(
    ("best", "reason"),
    [
        (np.ones(100), "all texts are alike"),
        (np.full(100, np.inf), "infinite"),
        (NONE, "no vectors"),
    ],
)
def test_texts_that_cannot_be_calibrated_say_why(best, reason):
    with pytest.raises(NotFitted, match=reason):
        fit_texts(best, NONE, 1000, 1000)


@given(SEEDS, st.floats(0.2, 0.8))
def test_half_of_the_pictures_reach_the_cutoff_under_the_phrase_that_fits_them_best(seed, place):
    best, named = maxima(seed, 0.1, 0.02), np.random.default_rng(seed).normal(place, 0.05, 100)
    middle = fit_texts(best, named, 1000, 1000).middle
    assert middle == max(fit_texts(best, NONE, 1000, 1000).middle, np.quantile(named, NAMED))
