"""Hybrid searches: complete under filters and groups, monotone in every side, and true to the weight."""

import json

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.models.calibration import Calibration
from image_retrieval.pipeline.wording import asked_text
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.calibrations import Fit, keep_fit
from image_retrieval.store.connection import connect
from image_retrieval.store.hybrid import Asked, find_weight, keep_weight, search_hybrid
from image_retrieval.store.search import search, search_words
from image_retrieval.store.vector_tables import ensure_vector_table
from integration.filter_language import FILTERS, SMALL, facts, holds, stored
from integration.random_vectors import DIMENSIONS, fill, index, similarities
from integration.tables import rows

PROPERTY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40, deadline=None
)
SCORES = st.floats(-1, 1, allow_nan=False)
SLOPES = st.floats(0.5, 60)


@pytest.fixture
def small(project, collection):
    vectors = fill(project, collection, SMALL, lambda number: stored(facts(number)))
    index(project)
    return vectors


@pytest.fixture
def told(project, small, collection):
    """Vectors of the captions, (SMALL, DIMENSIONS), under a text_model; NaN where there is no caption."""
    vectors = np.random.default_rng(1).standard_normal((SMALL, DIMENSIONS)).astype(np.float16)
    with connect(project) as connection:
        entry = collection.model_copy(update={"model": collection.model.model_copy(update={"name": "texts"})})
        ensure_vector_table(connection, entry, DIMENSIONS)
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
            "VALUES ('texts', 'none', 'text_encoder', %s, true)",
            (DIMENSIONS,),
        )
        for number in range(SMALL):
            if facts(number)["caption"] is None:
                vectors[number] = np.nan
            else:
                connection.execute(
                    "INSERT INTO retrieval.vector_things_texts (id, etag, embedding) "
                    "SELECT id, 'e', %s::text::halfvec FROM retrieval.image WHERE image_id = %s",
                    (str(vectors[number].tolist()), str(number)),
                )
        connection.execute("UPDATE retrieval.collection SET text_model = 'texts'")
    return vectors.astype(np.float32)


def found(project, vector, words, k=10, caption=None, text_direction=None, **more):
    asked = Asked(vector, words, "text_image_en", "random", caption, "texts", text_direction)
    with connect(project) as connection:
        return search_hybrid(connection, "things", asked, k, **more)


def ids(results):
    return [int(row["image_id"]) for row in results]


def held(number, words, without):
    caption = facts(number)["caption"] or ""
    return any(word in caption.split() for word in words), any(word in caption.split() for word in without)


@PROPERTY
@given(
    filter=FILTERS,
    k=st.integers(1, SMALL + 5),
    grouped=st.booleans(),
    words=st.lists(st.sampled_from(["red", "circles", "ring"]), max_size=3),
    without=st.lists(st.sampled_from(["two", "a"]), max_size=1),
    sides=st.sampled_from(["both", "vector", "words"]),
)
@example(filter={}, k=70, grouped=False, words=["red"], without=["two"], sides="both")
def test_as_many_are_found_as_match(project, small, filter, k, grouped, words, without, sides):
    if sides == "words" and not words:
        words = ["ring"]
    text = " ".join([*words, *(f"-{word}" for word in without)]) if sides != "vector" or without else None
    results = found(project, None if sides == "words" else small[7], text, k, filter=filter, grouped=grouped)
    rows_ = {number: {"image_id": str(number), **facts(number)} for number in range(SMALL)}
    matching = [number for number in rows_ if holds(filter, rows_[number]) and not held(number, words, without)[1]]
    if sides == "words":
        matching = [number for number in matching if held(number, words, without)[0]]
    groups = {rows_[number]["group_id"] or number for number in matching} if grouped else matching
    assert len(results) == len(set(ids(results))) == min(k, len(groups))
    assert set(ids(results)) <= set(matching)
    shown = [row["similarity"] for row in results]
    assert shown == sorted(shown, reverse=True)
    assert all(row["found_by"] and set(row["scores"]) <= {"vector", "words"} for row in results)


@settings(PROPERTY, max_examples=20)
@given(
    filter=FILTERS,
    k=st.integers(1, SMALL + 5),
    grouped=st.booleans(),
    words=st.sampled_from([None, "ring", "red -two", "-a"]),
    by_vector=st.booleans(),
    calibrated=st.booleans(),
)
def test_captions_are_a_third_side(project, told, small, filter, k, grouped, words, by_vector, calibrated):
    calibrate(project, calibrated)
    query = small[7] if by_vector else None
    results = found(project, query, words, k, told[1], filter=filter, grouped=grouped)
    without = ["two"] if words == "red -two" else ["a"] if words == "-a" else []
    rows_ = {number: {"image_id": str(number), **facts(number)} for number in range(SMALL)}
    matching = [number for number in rows_ if holds(filter, rows_[number]) and not held(number, [], without)[1]]
    matching = [number for number in matching if by_vector or rows_[number]["caption"] is not None]
    groups = {rows_[number]["group_id"] or number for number in matching} if grouped else matching
    assert len(results) == len(set(ids(results))) == min(k, len(groups))
    assert set(ids(results)) <= set(matching)
    assert all(row["found_by"] for row in results)
    cosines = similarities(told, told[1])
    for row in results:
        cosine = cosines[int(row["image_id"])]
        assert row["scores"].get("caption", np.nan) == pytest.approx(cosine, abs=2e-3, nan_ok=True)


def test_captions_count_by_their_rank_beside_scores(project, told, small):
    calibrate(project)
    results = found(project, small[5], "ring", SMALL, told[1], weight=0.4)
    assert len(results) == SMALL
    order = [number for number in np.argsort(-similarities(told, told[1])) if not np.isnan(told[number, 0])]
    for row in results:
        number = int(row["image_id"])
        rank = 61 / (61 + order.index(number)) if number in order else 0
        parts = 0.4 * row["scores"]["vector"] + 0.3 * row["scores"].get("words", 0) + 0.3 * rank
        assert row["similarity"] == pytest.approx(parts, abs=5e-3)
    first = next(row for row in results if row["image_id"] == "1")
    assert first["found_by"][-1] == "caption"


def fit_captions(project, direction, slope, middle):
    fit = Fit(direction, slope, middle, reason=None, rate=0.05, vectors=SMALL, sampled=SMALL, probes=100, phrases=1)
    with connect(project) as connection:
        keep_fit(connection, VectorSpace("things", "texts"), fit)


@settings(PROPERTY, max_examples=20)
@given(
    slope=SLOPES,
    middle=st.floats(-0.5, 1.2),
    weight=st.floats(0, 1),
    words=st.sampled_from([None, "ring"]),
    by_vector=st.booleans(),
    language=st.sampled_from(["en", "zh"]),
)
def test_captions_with_a_calibration_count_by_their_score(
    project, told, small, slope, middle, weight, words, by_vector, language
):
    calibrate(project)
    for direction, moved in (("text_image_en", 0), ("text_image_zh", 0.1)):
        fit_captions(project, direction, slope, middle + moved)
    calibration = Calibration(slope, middle + (0.1 if language == "zh" else 0))
    query = small[5] if by_vector else None
    results = found(project, query, words, SMALL, told[1], f"text_image_{language}", weight=weight)
    shares = {"words": 0.5, "caption": 0.5} if words else {"caption": 1}
    if by_vector:
        shares = {side: (1 - weight) * share for side, share in shares.items()} | {"vector": weight}
    cosines = similarities(told, told[1])
    assert results
    for row in results:
        cosine = cosines[int(row["image_id"])]
        score = np.nan if np.isnan(cosine) else calibration.score(cosine)
        assert row["scores"].get("caption", np.nan) == pytest.approx(score, abs=2e-3, nan_ok=True)
        parts = sum(share * row["scores"].get(side, 0) for side, share in shares.items())
        assert row["similarity"] == pytest.approx(parts, abs=1e-5)


def test_calibrated_captions_beside_vectors_without_a_calibration_count_by_their_rank(project, told, small):
    plain = found(project, small[5], "ring", SMALL, told[1])
    fit_captions(project, "text_image_en", 20, 0.3)
    results = found(project, small[5], "ring", SMALL, told[1])
    assert [(row["image_id"], row["similarity"]) for row in results] == [
        (row["image_id"], row["similarity"]) for row in plain
    ]


def test_captions_are_asked_in_sql_where_the_text_is_embedded(project, told, database_url):
    query = "SELECT image_id, found_by FROM images.search_hybrid('things', 'no word of theirs -blue', 5)"
    assert rows(database_url, query) == []
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO retrieval.query (model, text, embedding) "
            "SELECT 'texts', 'no word of theirs', embedding FROM retrieval.vector_things_texts "
            "JOIN retrieval.image USING (id) WHERE image_id = '1'"
        )
        assert connection.execute("SELECT retrieval.is_embedded('things', 'no word of theirs')").fetchone() == (True,)
    assert rows(database_url, query)[0] == ("1", ["caption"])


@PROPERTY
@given(number=st.integers(0, SMALL - 1), k=st.integers(1, SMALL))
def test_a_weight_of_one_is_the_order_of_vectors(project, small, number, k):
    results = found(project, small[number], "ring", k, weight=1)
    with connect(project) as connection:
        expected = search(connection, "things", small[number], k)
    cosines = similarities(small, small[number])
    assert [cosines[at] for at in ids(results)] == pytest.approx([cosines[at] for at in ids(expected)], abs=2e-3)


@pytest.mark.parametrize("word", ["ring", "red", "红色"])
def test_a_weight_of_zero_is_the_order_of_words(project, small, word):
    for calibrated in (False, True):
        calibrate(project, calibrated)
        results = found(project, small[3], word, 10, weight=0)
        with connect(project) as connection:
            expected = search_words(connection, "things", word, 10)
        assert [row["scores"]["words"] for row in results] == pytest.approx([row["similarity"] for row in expected])
        assert all("words" in row["found_by"] for row in results)


def calibrate(project, calibrated=True):
    own = json.dumps({"text_image_en": {"slope": 8, "middle": 0.2}}) if calibrated else None
    with connect(project) as connection:
        connection.execute("UPDATE retrieval.model SET calibration = %s WHERE family <> 'text_encoder'", (own,))


def test_scores_of_both_sides_are_mixed_by_the_weight(project, small):
    calibrate(project)
    results = found(project, small[5], "ring", SMALL, weight=0.3)
    for row in results:
        cosine = similarities(small, small[5])[int(row["image_id"])]
        assert row["scores"]["vector"] == pytest.approx(Calibration(8, 0.2).score(cosine), abs=2e-2)
        assert row["similarity"] == pytest.approx(0.3 * row["scores"]["vector"] + 0.7 * row["scores"].get("words", 0))
        assert ("words" in row["scores"]) == held(int(row["image_id"]), ["ring"], [])[0]
    least = results[9]["similarity"]
    assert len(found(project, small[5], "ring", SMALL, weight=0.3, min_similarity=least)) == 10


def test_ranks_are_mixed_where_a_side_has_no_calibration(project, small):
    results = found(project, small[5], "ring", SMALL, weight=0.5)
    assert results[0]["similarity"] <= 1
    assert all(row["similarity"] <= 0.5 for row in results if "words" not in row["scores"])
    first = next(row for row in results if int(row["image_id"]) == 5)
    assert first["similarity"] >= 0.5


@PROPERTY
@given(slope=SLOPES, middle=st.floats(-0.5, 1.2), cosines=st.lists(SCORES | st.just(1.0), min_size=1, max_size=5))
def test_sql_scores_as_the_calibration_does(project, slope, middle, cosines):
    with connect(project) as connection:
        [row] = connection.execute("SELECT retrieval.score_in_words(%s, %s) AS text", (slope, middle)).fetchall()
        query = row["text"].replace("%1$s", "c") + " AS score"
        answers = connection.execute(
            f"SELECT {query} FROM unnest(%s::double precision[]) AS c".encode(), (cosines,)
        ).fetchall()
    expected = [Calibration(slope, middle).score(cosine) for cosine in cosines]
    assert [row["score"] for row in answers] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@PROPERTY
@given(
    parts=st.lists(st.none() | st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=3),
    weight=st.floats(0, 1, allow_subnormal=False),
    at=st.integers(0, 2),
)
@example(parts=[1e-300, 0.5], weight=1e-200, at=0)
def test_a_better_side_never_makes_a_result_worse(project, parts, weight, at):
    names = ["vector", "words", "caption"][: len(parts)]
    at %= len(parts)
    better = [1.0 if place == at else part for place, part in enumerate(parts)]
    with connect(project) as connection:
        query = (
            "SELECT retrieval.fused_in_words(%s::text[], w) AS fused, w "
            "FROM retrieval.side_weights(%s::text[], %s) AS w"
        )
        texts = [["NULL::float8" if part is None else f"{part!r}::float8" for part in each] for each in (parts, better)]
        asked = [connection.execute(query, (each, names, weight)).fetchall()[0] for each in texts]
        fused = [connection.execute(f"SELECT {row['fused']} AS fused".encode()).fetchall()[0]["fused"] for row in asked]
    assert 0 <= fused[0] <= fused[1] <= 1 + 1e-9
    assert sum(asked[0]["w"]) == pytest.approx(1)


def test_a_caption_without_a_vector_hides_nothing(project, collection):
    fill(project, collection, 30, lambda number: {"caption": "ring"})
    with connect(project) as connection:
        connection.execute("DELETE FROM retrieval.vector_things_random WHERE id % 3 = 0")
    assert len(found(project, None, "ring", 30)) == 20
    assert len(found(project, np.ones(16), "ring", 30)) == 20


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("words", [None, "ring"])
def test_captions_of_images_without_a_vector_take_no_place(project, told, small, words, grouped):
    """The captions that come first are those of images that no view shows."""
    order = np.argsort(-similarities(told, told[1])).tolist()
    shown = [number for number in order if not np.isnan(told[number, 0])][-8:]
    with connect(project) as connection:
        connection.execute(
            "DELETE FROM retrieval.vector_things_random USING retrieval.image AS i "
            "WHERE i.id = vector_things_random.id AND NOT i.image_id = ANY (%s)",
            ([str(number) for number in shown],),
        )
    groups = {facts(number)["group_id"] or number for number in shown} if grouped else shown
    for k in (3, 8, 100):
        results = found(project, None, words, k, told[1], grouped=grouped)
        assert set(ids(results)) <= set(shown)
        assert len(results) == len(set(ids(results))) == min(k, len(groups))


def test_chinese_words_count_for_themselves(project, collection):
    captions = ["两个红色的圆", "一个蓝色的圆", "red ring", None]
    fill(project, collection, 4, lambda number: {"caption": captions[number]})
    assert ids(found(project, None, "红色圆环"))[0] == 0
    assert set(ids(found(project, None, "一只红色的环"))) == {0, 1}
    assert ids(found(project, None, '"红色的圆"')) == [0]
    assert found(project, None, '"红色圆环"') == []


def test_a_search_that_cannot_be_is_told(project, small):
    for vector, words, more, told in (
        (None, "-red", {}, "there is nothing to search for"),
        (small[0], "red", {"k": 0}, "k must be 1 or more, not 0"),
        (None, "red", {"weight": 1.5}, "weight must be a number from 0 to 1, not 1.5"),
        (small[0][:3], "red", {}, "needs 16 dimensions, not 3"),
    ):
        with pytest.raises(UserError, match=told):
            found(project, vector, words, **more)
    with pytest.raises(UserError, match="unknown collection"), connect(project) as connection:
        search_hybrid(connection, "nothings", Asked(None, "red", None, "random"), 3)


def test_a_role_that_may_read_a_collection_searches_it_in_sql(project, small, database_url):
    query = "SELECT image_id, found_by FROM images.search_hybrid('things', 'ring', 5{})"
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE ROLE reader; GRANT USAGE ON SCHEMA images, retrieval TO reader; SET ROLE reader")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(query.format(""))
        connection.execute("RESET ROLE; GRANT SELECT ON images.things TO reader; SET ROLE reader")
        answer = connection.execute(query.format("")).fetchall()
        vector = connection.execute(query.format(", query => (SELECT embedding FROM images.things LIMIT 1)")).fetchall()
        connection.rollback()
    assert [by for _, by in answer] == [["words"]] * 5
    assert {"vector"} <= {side for _, by in vector for side in by}


def test_texts_lose_their_minus_terms_in_sql_as_in_python(project, database_url):
    texts = ["red -blue ring", '-"a b" c', "wool-hat - x", " -a", "红色　-蓝色 圆", 'a -"b', "plain", 'x --y -z"q" w']
    texts += [
        "圆 －红色",
        "圆 ﹣红色 环",
        "圆 -“红色 圆” 环",
        "圆 －＂红色 圆＂",
        "ring\u00a0-red\u2003-blue",
        "a «b -c»",
        "a -«b c» d",
    ]
    texts += ['-"b"-c', '- -"x"a', '-a-"b"', '-"a -"b', 'x -a  -"b" -c y', 'a -"']
    query = "SELECT retrieval.asked_text(t) FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n"
    assert [text for (text,) in rows(database_url, query, texts)] == [asked_text(text) for text in texts]
    assert asked_text(texts[0]) == "red ring"
    assert [asked_text(text) for text in ("圆 －红色", "圆 -“红色 圆” 环", "a -«b c» d")] == ["圆", "圆 环", "a d"]


def test_the_weight_of_a_collection_holds_until_it_is_set(project, small):
    with connect(project) as connection:
        assert find_weight(connection, "things") == 0.5
        keep_weight(connection, "things", 1)
        assert find_weight(connection, "things") == 1
    assert ids(found(project, small[4], "ring", 5)) == ids(found(project, small[4], "ring", 5, weight=1))
    with pytest.raises(UserError, match="has no vectors yet"), connect(project) as connection:
        keep_weight(connection, "nothings", 0.1)
