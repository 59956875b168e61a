"""The most frequent hybrid search, by a vector and a few words, asks a function that each vector table has."""

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from image_retrieval.store import captions
from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index
from integration.random_vectors import DIMENSIONS, fill
from integration.tables import rows

ROWS = 400
WORDS = ["red", "ring", "two", "circles", "field", "红色", "红色圆环", "两个圆", "环", "unheard"]
OTHERS = [f"other{number}" for number in range(80)]  # so that few enough captions hold a word for all to be compared
ALWAYS = '{"and": []}'  # a filter that all images match, with which a search goes the general way
SEARCH = (
    "SELECT image_id, similarity, caption, found_by, scores "
    "FROM images.search_hybrid('things', %s, %s, %s::jsonb, %s, query => %s::halfvec, weight => %s)"
)


@pytest.fixture
def vectors(project, collection):
    """Images of which a quarter have a caption, indexed; the model has a calibration, and words are counted."""
    rng = np.random.default_rng(3)

    def told(number):
        caption = " ".join(rng.choice(WORDS[:-1] + OTHERS, rng.integers(1, 6)).tolist())
        return {"caption": None if number % 4 else caption}

    vectors = fill(project, collection, ROWS, told)
    ensure_index(collection, project.model_copy(update={"index_from_rows": 1}))
    with connect(project) as connection:
        entry = '{"slope": 9, "middle": 0.3}'
        calibration = f'{{"text_image_en": {entry}, "text_image_zh": {entry}}}'
        connection.execute("UPDATE retrieval.model SET calibration = %s::jsonb", (calibration,))
        connection.execute("ANALYZE retrieval.image")
        captions.count_words(connection, "things")
    return vectors


def found(url, *asked):
    """The rows, rounded, and how often the collection's own function was called for them."""
    with psycopg.connect(url, options="-c track_functions=pl") as connection:
        answer = connection.execute(SEARCH.encode(), asked).fetchall()
        calls = "SELECT pg_stat_get_xact_function_calls(oid) FROM pg_proc WHERE proname = 'hybrid_things_random'"
        [(called,)] = connection.execute(calls).fetchall()
    return [(row[0], round(row[1], 9), *row[2:4], rounded(row[4])) for row in answer], called


def rounded(scores):
    return {side: round(score, 9) for side, score in scores.items()}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
    k=st.integers(1, 60),
    lowest=st.none() | st.floats(0, 1),
    weight=st.none() | st.floats(0, 1),
    near=st.integers(0, ROWS - 1),
)
@example(words=["红色圆环", "ring"], k=10, lowest=None, weight=None, near=0)
@example(words=["unheard"], k=ROWS + 5, lowest=None, weight=None, near=0)
def test_it_answers_as_the_general_search_does(vectors, database_url, words, k, lowest, weight, near):
    query = str((vectors[near] + 0.01).tolist())
    asked = (" ".join(words), k, "{}", lowest, query, weight)
    general = found(database_url, *asked[:2], ALWAYS, *asked[3:])
    assert found(database_url, *asked)[0] == general[0]
    assert general[1] is None


def test_a_vector_and_words_are_searched_by_the_collections_own_function(vectors, database_url):
    query = str(vectors[0].tolist())
    assert found(database_url, "red ring", 10, "{}", None, query, None)[1] == 1
    assert found(database_url, "red ring two circles field", 10, "{}", None, query, None)[1] is None
    rows(database_url, "UPDATE retrieval.model SET calibration = NULL RETURNING 1")
    assert found(database_url, "red ring", 10, "{}", None, query, None)[1] is None


@pytest.mark.parametrize("named", ["first", "last"])
def test_a_frequent_word_finds_as_many_images_wherever_they_are(vectors, database_url, project, named):
    query = str(vectors[0].tolist())
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name, caption in {"first": "0", "last": "z"}.items():
            connection.execute(
                "INSERT INTO retrieval.image (collection, image_id, uri, etag, size, last_modified, caption) "
                "SELECT 'things', %(name)s || n, 's3://images/' || %(name)s || n, 'e', 1, now(), %(caption)s "
                "FROM generate_series(1, 6000) AS n",
                {"name": caption, "caption": "red" if name == named else "pale"},
            )
        connection.execute(
            "INSERT INTO retrieval.vector_things_random (id, etag, embedding) "
            "SELECT id, etag, %s::halfvec FROM retrieval.image WHERE etag = 'e'",
            (str((-vectors[0]).tolist()),),
        )
        connection.execute("VACUUM ANALYZE retrieval.image, retrieval.vector_things_random")
    with connect(project) as connection:
        captions.count_words(connection, "things")
    answer, called = found(database_url, "red", 10, "{}", None, query, 0)
    assert called == 1
    assert [row[2:4] for row in answer] == [("red", ["words"])] * 10


def test_its_vectors_have_the_length_of_the_collections(vectors, database_url):
    with pytest.raises(psycopg.Error, match=f"needs {DIMENSIONS} dimensions, not 3"):
        found(database_url, "red", 10, "{}", None, "[1,2,3]", None)
