"""Searches are complete under every filter, with and without an index, and wrong filters are named."""

import numpy as np
import pytest
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb

from image_retrieval.errors import UserError
from image_retrieval.store.connection import connect
from image_retrieval.store.search import search, similar_to
from integration.random_vectors import DIMENSIONS, fill, index, similarities

SMALL, LARGE = 60, 12_000


@pytest.fixture
def small(project, collection):
    def facts(number):
        attributes = {"colour": ("red", "blue")[number % 2]}
        return {"width": number % 10, "group_id": f"g{number % 5}", "attributes": attributes}

    vectors = fill(project, collection, SMALL, facts)
    index(project)
    return vectors


@pytest.fixture
def large(project, collection):
    rng = np.random.default_rng(1)
    shares = rng.random(LARGE)
    vectors = fill(
        project,
        collection,
        LARGE,
        lambda number: {
            "width": int(shares[number] * 10_000),
            "group_id": f"g{number % 2000}",
            "attributes": {"price": int(shares[number] * 10_000), "few": int(number < 3)},
        },
    )
    index(project)
    return vectors, (shares * 10_000).astype(int)


def test_every_selectivity_is_answered_in_full(project, large):
    vectors, widths = large
    with connect(project) as connection:
        for limit in (5000, 1000, 100, 10, 1):
            matching = np.flatnonzero(widths < limit)
            for filter in ({"width": {"lt": limit}}, {"attributes": {"price": {"lt": limit}}}):
                hits = wanted = 0
                for query in vectors[:15] + 0.3:
                    cosines = similarities(vectors[matching], query)
                    best = {str(number) for number in matching[np.argsort(-cosines)[:10]]}
                    found = search(connection, "things", query, 10, filter)
                    assert len(found) == min(10, len(matching))
                    hits, wanted = hits + len(best & {row["image_id"] for row in found}), wanted + len(best)
                assert hits >= 0.98 * wanted, (limit, filter)  # of 150 neighbours at a table's first ef_search


def test_more_than_an_index_gives_is_given(project, large):
    with connect(project) as connection:
        for k in (150, 1000, LARGE + 1):
            found = search(connection, "things", large[0][0], k)
            assert len(found) == min(k, LARGE)
            assert len({row["image_id"] for row in found}) == len(found)
            assert [row["similarity"] for row in found] == sorted((row["similarity"] for row in found), reverse=True)
        assert len(search(connection, "things", large[0][0], 300, grouped=True)) == 300
        assert len(search(connection, "things", large[0][0], 3000, grouped=True)) == 2000
        cut = search(connection, "things", large[0][0], 50)[20]["similarity"]
        assert len(search(connection, "things", large[0][0], 50, min_similarity=cut)) == 21


def test_deleted_images_do_not_take_the_place_of_others(project, large):
    with connect(project) as connection:
        near = [row["image_id"] for row in search(connection, "things", large[0][0], 900)]
        connection.execute("UPDATE retrieval.image SET deleted = now() WHERE image_id = ANY(%s)", (near,))
        found = search(connection, "things", large[0][0], 100)
    assert len(found) == 100
    assert not {row["image_id"] for row in found} & set(near)


@pytest.mark.parametrize("distance", ["cosine", "inner_product", "l2"])
def test_each_distance_is_as_by_brute_force(project, large, distance):
    vectors, _ = large
    index(project, distance)
    hits = 0
    with connect(project) as connection:
        register_vector(connection)
        for query in vectors[100:120] + 0.2:
            expected = similarities(vectors, query, distance)
            best = np.argsort(-expected)[:10]
            found = search(connection, "things", query, 10, {"width": {"gte": 0}})
            assert len(found) == 10
            assert [row["similarity"] for row in found] == pytest.approx(
                [expected[int(row["image_id"])] for row in found], abs=5e-3, rel=1e-2
            )
            hits += len({str(number) for number in best} & {row["image_id"] for row in found})
        [row] = connection.execute("SELECT images.match('things', '1', '2') AS match")
    assert hits >= 0.97 * 200
    assert row["match"] == pytest.approx(similarities(vectors[1:2], vectors[2], distance)[0], abs=5e-3, rel=1e-2)


def test_an_index_of_bits_finds_candidates_that_are_ranked_again(project, large):
    vectors, _ = large
    with connect(project) as connection:
        connection.execute("DROP INDEX retrieval.by_distance")
        connection.execute(
            "CREATE INDEX bits ON retrieval.vector_things_random "
            f"USING hnsw ((binary_quantize(embedding)::bit({DIMENSIONS})) bit_hamming_ops)".encode()
        )
        connection.execute("UPDATE retrieval.collection SET ef_search = 1000")
        found = search(connection, "things", vectors[5], 10)
        few = search(connection, "things", vectors[5], 10, {"attributes": {"few": 1}})
        bits = f"bit({DIMENSIONS})"
        explain = (
            "EXPLAIN SELECT image_id FROM images.things "
            f"ORDER BY binary_quantize(embedding)::{bits} <~> binary_quantize(%s::halfvec)::{bits} LIMIT 9"
        )
        plan = str(connection.execute(explain.encode(), (str(vectors[5].tolist()),)).fetchall())
    assert "Index Scan using bits" in plan
    assert found[0]["image_id"] == "5"
    assert [row["similarity"] for row in found] == sorted((row["similarity"] for row in found), reverse=True)
    assert len(few) == 3


def test_an_image_leaves_itself_out_and_its_group_in(project, small):
    with connect(project) as connection:
        everything = similar_to(connection, "things", "7", SMALL)
        grouped = similar_to(connection, "things", "7", SMALL, {"group_id": "g2"}, grouped=True)
    assert len(everything) == SMALL - 1
    assert "7" not in {row["image_id"] for row in everything}
    assert [row["group_id"] for row in grouped] == ["g2"]


@pytest.mark.parametrize(
    ("filter", "told"),
    [
        ({"shade": "red"}, 'filter: "shade" is not one of group_id'),
        ({"embedding": 1}, 'filter: "embedding" is not one of'),
        ({"a\nb": 1}, r'filter: "a\nb" is not one of'),
        ({"width": {"above": 1}}, 'filter: "width" has an unknown operator "above"'),
        ({"width": {}}, 'filter: "width" has no operator'),
        ({"width": "wide"}, 'filter: "width" takes a number, not "wide"'),
        ({"width": {"gt": "1"}}, 'filter: "width" gt takes a number, not "1"'),
        ({"width": {"any": 1}}, 'filter: "width" any takes a list, not 1'),
        ({"width": {"any": ["a"]}}, 'filter: "width" any takes a number, not "a"'),
        ({"format": 1}, 'filter: "format" takes a text, not 1'),
        ({"format": {"gt": "A"}}, 'filter: "format" is a text and has no operator "gt"'),
        ({"format": {"match": "A"}}, '"match": that is for "caption" and attributes'),
        ({"captured_at": {"gt": "yesterday"}}, 'filter: "captured_at" gt takes a time such as'),
        ({"created_at": {"gt": "yesterday"}}, 'filter: "created_at" gt takes a time such as'),
        ({"created_at": {"gt": "2026-02-31"}}, "takes a time such as"),
        ({"attributes": {"price": {"gt": "a"}}}, 'attribute "price" gt takes a number, or a time such as'),
        ({"attributes": {"price": {"gt": True}}}, 'attribute "price" gt takes a number, or a time such as'),
        ({"attributes": 1}, 'filter: "attributes" takes an object'),
        ({"attributes": {"price": {"about": 1}}}, 'filter: attribute "price" has an unknown operator "about"'),
        ({"or": {"width": 1}}, 'filter: "or" takes a list of filters'),
        ({"and": [1]}, "filter must be a JSON object such as"),
        ({"not": [1]}, "filter must be a JSON object such as"),
        ({"not": {"or": [{"width": {"lt": None}}]}}, 'filter: "width" lt takes a number, not null'),
    ],
)
def test_a_wrong_filter_is_told_in_one_line(project, small, filter, told):
    with pytest.raises(UserError) as refusal, connect(project) as connection:
        search(connection, "things", small[0], 1, filter)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_filter_of_any_depth_is_answered_or_refused(project, small):
    filter = {}
    for _ in range(300):
        filter = {"not": filter}
    with connect(project) as connection:
        assert len(search(connection, "things", small[0], 3, filter)) == 3
        value = "'; DROP TABLE retrieval.image; --"
        hostile = {"group_id": {"any": [value]}, "attributes": {value: value}, "caption": {"match": value}}
        assert search(connection, "things", small[0], 3, hostile) == []


def test_a_simple_filter_may_use_an_index(project, small):
    """Written as a person would write it, so that statistics and indexes serve it."""
    with connect(project) as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("CREATE INDEX ON retrieval.image (width)")
        connection.execute("CREATE INDEX ON retrieval.image USING gin (attributes)")
        for filter, name in (
            ({"width": 3}, "image_width_idx"),
            ({"attributes": {"colour": "red"}}, "image_attributes_idx"),
        ):
            [made] = connection.execute("SELECT * FROM retrieval.condition_of(%s, '{}')", (Jsonb(filter),))
            condition = made["condition"].replace("$1", "(%s::text[])")
            query = f"EXPLAIN SELECT FROM retrieval.image WHERE {condition}"
            plan = connection.execute(query.encode(), [made["given"]] * query.count("%s")).fetchall()
            assert any(name in row["QUERY PLAN"] for row in plan), plan
