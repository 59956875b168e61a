"""Probes of a model: read as they were written, the same each time, and made again when they are of something else."""

import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.models.calibration import CUTOFF
from image_retrieval.models.chance import NAMED, RATE
from image_retrieval.models.phrases import naming, phrases_of, phrases_version
from image_retrieval.models.probes import (
    COPIES,
    DESCRIBED,
    RENEWED,
    Probes,
    Texts,
    are_due,
    make_probes,
    make_text_probes,
    read_probes,
    texts_of,
    write_probes,
)
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.calibrating import fit_phrases
from image_retrieval.settings import Settings

STORE = ObjectStore(Settings(database_url=""))
RNG = np.random.default_rng(0)
DIMENSIONS = 24
PIXELS = RNG.integers(0, 256, (5, 8, 8, 3), np.uint8)


def unit(rows, dimensions=6, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_colour(pixels):
    means = pixels.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float32)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def by_text(texts):
    return np.concatenate([unit(1, 3, seed=sum(text.encode())) for text in texts])


def made(pictures=5, texts=by_text):
    vectors = by_colour(PIXELS[:pictures])
    return make_probes("digest", PIXELS[:pictures], vectors, vectors, by_colour, texts)


@given(st.integers(0, 5), st.sets(st.sampled_from(["en", "zh"])), st.integers(1, 4))
def test_they_are_read_as_they_were_written(tmp_path_factory, copies, languages, dimensions):
    uri = str(tmp_path_factory.mktemp("probes") / "model.parquet")
    texts = {language: Texts(unit(3, dimensions), unit(4, dimensions, 1)) for language in languages}
    written = Probes("digest", 7, 9, RNG.uniform(-1, 1, copies), texts, 3)
    write_probes(STORE, uri, written)
    found = read_probes(STORE, uri)
    assert (found.digest, found.pictures, found.sought, found.phrases) == ("digest", 7, 9, 3)
    assert {*found.texts} == languages
    np.testing.assert_array_equal(found.copies, written.copies)
    for language in languages:
        np.testing.assert_array_equal(found.texts[language].about_nothing, texts[language].about_nothing)
        np.testing.assert_array_equal(found.texts[language].named, texts[language].named)


def test_there_are_none_where_nobody_wrote_any(tmp_path):
    assert read_probes(STORE, str(tmp_path / "model.parquet")) is None


def test_the_same_pictures_give_the_same_probes_and_copies_are_alike():
    first, second = made(), made()
    np.testing.assert_array_equal(first.copies, second.copies)
    assert len(first.copies) == 5
    assert (first.copies > 0.9).all()
    assert (first.copies < 1).all()


def test_a_copy_on_which_the_model_fails_is_left_out():
    def failing(pixels):
        vectors = by_colour(pixels)
        vectors[1] = np.nan
        return vectors

    probes = make_probes("digest", PIXELS, by_colour(PIXELS), by_colour(PIXELS), failing, None)
    assert (len(probes.copies), probes.pictures, probes.texts) == (4, 5, {})


@pytest.mark.parametrize("language", ["en", "zh"])
def test_phrases_describe_only_what_pictures_show(language):
    phrases = phrases_of(language)
    looks = len(phrases.looks) * len(phrases.counts)
    one = by_text([naming(language)[3]])
    texts = texts_of(language, by_text, one)
    assert (len(texts.about_nothing), len(texts.named)) == (len(phrases.about_nothing), len(phrases.things) + looks)
    many = texts_of(language, by_text, by_text(naming(language)))
    assert len(many.named) == len(phrases.things) + DESCRIBED * looks
    assert len(texts_of(language, by_text, np.empty((0, 3), np.float32)).named) == len(phrases.things)


def test_a_model_that_reads_texts_only_is_probed_with_names_of_single_things(tmp_path):
    uri = str(tmp_path / "model.parquet")
    write_probes(STORE, uri, make_text_probes("digest", by_text))
    assert not are_due(STORE, uri, "digest", 0, in_hand=True)
    found = read_probes(STORE, uri)
    assert (found.digest, found.phrases, len(found.copies)) == ("digest", phrases_version(), 0)
    for language in ("en", "zh"):
        np.testing.assert_array_equal(found.texts[language].named, by_text(naming(language)))
        np.testing.assert_array_equal(found.texts[language].about_nothing, by_text(phrases_of(language).about_nothing))


@pytest.fixture(scope="module")
def probes():
    """Of a model of texts that takes each for something else."""

    def embed(texts):
        return np.concatenate([unit(1, DIMENSIONS, seed=list(text.encode())) for text in texts])

    return make_text_probes("digest", embed)


@given(
    seed=st.integers(0, 1000),
    captions=st.integers(30, 200),
    language=st.sampled_from(["en", "zh"]),
    times=st.integers(1, 1000),
)
def test_a_fit_on_captions_hides_them_from_what_is_about_nothing(probes, seed, captions, language, times):
    texts, vectors = probes.texts[language], unit(captions, DIMENSIONS, seed)
    cutoff = fit_phrases(texts, vectors, captions * times).cosine(CUTOFF)
    assert ((texts.about_nothing @ vectors.T).max(axis=1) >= cutoff).mean() <= RATE
    assert ((texts.named @ vectors.T).max(axis=0) >= cutoff).mean() <= 1 - NAMED + 1 / captions


@pytest.mark.parametrize("in_hand", [True, False])
def test_they_are_due_again_if_something_else_made_them_or_more_pictures_are_there(tmp_path, in_hand):
    uri = str(tmp_path / "model.parquet")
    due = partial(are_due, STORE, uri, in_hand=in_hand)
    assert due("digest", 1)
    write_probes(STORE, uri, made())
    assert not due("digest", 5)
    assert not due("digest", 1)
    assert due("digest", 6)
    assert due("other", 1)
    write_probes(STORE, uri, replace(made(), pictures=COPIES, sought=COPIES))
    assert not due("digest", 100 * COPIES)
    os.utime(uri, (0, os.stat(uri).st_mtime - RENEWED.total_seconds() - 60))  # noqa: PTH116
    assert due("digest", 100 * COPIES)
    assert not due("digest", COPIES - 1)
    write_probes(STORE, uri, replace(made(), phrases=phrases_version() + 1))
    assert due("digest", 1)


def test_pictures_that_are_not_kept_are_sought_once_and_taken_from_whoever_has_them(tmp_path):
    uri = str(tmp_path / "model.parquet")
    write_probes(STORE, uri, replace(made(), pictures=0, sought=COPIES, copies=np.empty(0)))
    assert not are_due(STORE, uri, "digest", COPIES, in_hand=False)
    assert are_due(STORE, uri, "digest", 1, in_hand=True)
