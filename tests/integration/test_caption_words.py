"""How frequent the words of captions are, by which hybrid searches weigh them."""

import math
from collections import Counter

import numpy as np
import psycopg
import pytest

from image_retrieval.store import captions
from image_retrieval.store.connection import connect
from integration.random_vectors import fill
from integration.tables import rows

ROWS = 300
WORDS = ["red", "ring", "circle", "field", "sky", "cloud"]
SHARES = "SELECT word, share FROM retrieval.caption_word WHERE collection = 'things'"
WEIGHTS = "SELECT retrieval.term_weights('things', retrieval.word_terms(%s))"


@pytest.fixture
def told(project, collection):
    """The sets of words of images, of which a third has no caption; some captions have a Chinese word, too."""
    rng, told = np.random.default_rng(0), []

    def caption(number):
        if number % 3 == 0:
            return {}
        words = rng.choice(WORDS, rng.integers(1, 6)).tolist()
        told.append(set(words) | ({"红色", "色"} if number % 4 == 0 else set()))
        return {"caption": " ".join(words) + (" 红色" if number % 4 == 0 else "")}

    fill(project, collection, ROWS, caption)
    return told


def counted(project, url):
    with connect(project) as connection:
        captions.count_words(connection, "things")
    return dict(rows(url, SHARES))


def shares_of(told):
    shares = {word: number / len(told) for word, number in Counter(word for words in told for word in words).items()}
    return {**shares, "": min(shares.values()) / 2}


def test_the_shares_are_those_of_the_captions(told, project, database_url):
    assert counted(project, database_url) == pytest.approx(shares_of(told))


def test_a_new_count_replaces_the_former_one(told, project, database_url):
    counted(project, database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE retrieval.image SET caption = 'cloud over the sea' WHERE id % 2 = 0 OR caption IS NULL"
        )
        connection.execute("UPDATE retrieval.image SET deleted = now() WHERE id % 2 = 1")
    assert counted(project, database_url) == {"cloud": 1, "over": 1, "the": 1, "sea": 1, "": 0.5}
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.image SET caption = NULL")
    assert counted(project, database_url) == {}


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("red unheard ring", [["red"], [""], ["ring"]]),
        ('"red ring"', [["red", "ring"]]),
        ("红 红色", [["红色"], ["红色"]]),
    ],
    ids=["words", "a phrase", "a prefix"],
)
def test_a_term_weighs_as_much_as_bm25_says_of_its_share(told, project, database_url, asked, held):
    counted(project, database_url)
    expected = [math.prod(shares_of(told)[word] for word in words) for words in held]
    with psycopg.connect(database_url) as connection:
        [(weights,)] = connection.execute(WEIGHTS, (asked,)).fetchall()
    million = 1_000_000
    assert weights == pytest.approx(
        [math.log(1 + (million * (1 - share) + 0.5) / (million * share + 0.5)) for share in expected]
    )


def test_words_weigh_the_same_until_they_are_counted(told, database_url):
    with psycopg.connect(database_url) as connection:
        [(weights,)] = connection.execute(WEIGHTS, ("red ring unheard",)).fetchall()
    assert len(set(weights)) == 1


def test_nothing_is_counted_for_a_collection_without_a_view(project, database_url):
    with connect(project) as connection:
        captions.count_words(connection, "unheard_of")
    assert rows(database_url, "SELECT count(*) FROM retrieval.caption_word") == [(0,)]
