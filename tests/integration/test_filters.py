"""Searches are complete under every filter, with and without an index, and wrong filters are named."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb

from image_retrieval.errors import UserError
from image_retrieval.store.connection import connect
from image_retrieval.store.schema import ensure_vector_table
from image_retrieval.store.search import search, similar_to

DIMENSIONS, SMALL, LARGE = 16, 60, 12_000
CLASSES = {"cosine": "halfvec_cosine_ops", "inner_product": "halfvec_ip_ops", "l2": "halfvec_l2_ops"}
START = datetime(2026, 1, 1, tzinfo=UTC)
CAPTIONS = [None, "two red circles", "a red ring", "两个红色的圆", "一个 blue 环", "100% wool_hat"]


def fill(project, collection, rows, facts=None):
    """A collection with random vectors of any length; returns them, (rows, DIMENSIONS) as they are stored."""
    vectors = np.random.default_rng(0).standard_normal((rows, DIMENSIONS)).astype(np.float16)
    with connect(project) as connection:
        ensure_vector_table(connection, collection, DIMENSIONS)
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
            "VALUES ('random', 'none', 'vision_transformer', %s, true)",
            (DIMENSIONS,),
        )
        connection.execute(
            "INSERT INTO retrieval.collection (name, source, model, dimensions) "
            "VALUES ('things', 's3://x/', 'random', %s)",
            (DIMENSIONS,),
        )
        columns = "image_id, uri, width, height, format, group_id, intra_id, caption, attributes, first_seen"
        with connection.cursor().copy(f"COPY retrieval.image (collection, {columns}) FROM STDIN".encode()) as copy:
            for number in range(rows):
                row = facts(number) if facts else {"width": number}
                row = {"image_id": str(number), "uri": str(number), "attributes": {}, "first_seen": START, **row}
                row["attributes"] = json.dumps(row["attributes"])
                copy.write_row(["things", *(row.get(name) for name in columns.split(", "))])
        ids = connection.execute("SELECT id FROM retrieval.image ORDER BY image_id::integer").fetchall()
        with connection.cursor().copy("COPY retrieval.vector_things_random (id, etag, embedding) FROM STDIN") as copy:
            for row, vector in zip(ids, vectors, strict=True):
                copy.write_row([row["id"], "e", str(vector.tolist())])
        connection.execute("SELECT retrieval.show_vectors('things', 'vector_things_random')")
    return vectors.astype(np.float32)


def index(project, distance="cosine"):
    with connect(project) as connection:
        connection.execute("UPDATE retrieval.collection SET distance = %s", (distance,))
        connection.execute("DROP INDEX IF EXISTS retrieval.by_distance")
        build = f"CREATE INDEX by_distance ON retrieval.vector_things_random USING hnsw (embedding {CLASSES[distance]})"
        connection.execute(build.encode())
        connection.execute("ANALYZE retrieval.vector_things_random; ANALYZE retrieval.image")
        connection.execute(
            "INSERT INTO retrieval.vector_index (vectors, rows, seconds, operator_class) "
            "VALUES ('vector_things_random', 0, 0, %(class)s) "
            "ON CONFLICT (vectors) DO UPDATE SET operator_class = excluded.operator_class",
            {"class": CLASSES[distance]},
        )


def similarities(vectors, query, distance="cosine"):
    products = vectors @ query
    if distance == "inner_product":
        return products
    if distance == "l2":
        return 1 / (1 + np.linalg.norm(vectors - query, axis=1))
    return products / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)


# --- random filters against the same language in Python -------------------------------------------------------------


def facts(number):
    return {
        "width": None if number % 7 == 0 else number % 10,
        "height": number,
        "format": ("JPEG", "PNG", "WEBP")[number % 3],
        "group_id": None if number % 4 == 0 else f"g{number % 5}",
        "intra_id": str(number % 2),
        "caption": CAPTIONS[number % len(CAPTIONS)],
        "attributes": {
            "colour": ("red", "blue")[number % 2],
            **({"price": number / 2} if number % 3 else {"price": "unknown"}),
            **({"sold": (START + timedelta(days=number)).isoformat()} if number % 5 else {}),
            "tags": [str(number % 3), "all"],
        },
        "created_at": START + timedelta(hours=number),
    }


def holds(filter, row):
    """What docs/sql.md says of filters, in Python."""
    return all(_holds(key, value, row) for key, value in filter.items())


def _holds(key, value, row):
    if key == "and":
        return all(holds(each, row) for each in value)
    if key == "or":
        return any(holds(each, row) for each in value)
    if key == "not":
        return not holds(value, row)
    if key == "attributes":
        return all(
            _agrees(row["attributes"].get(name), test, name in row["attributes"]) for name, test in value.items()
        )
    actual = row[key]
    if key == "created_at" and not isinstance(value, dict):
        value = datetime.fromisoformat(value)
    return actual is None if value is None else _agrees(actual, value, True)


def _agrees(actual, test, there):
    if not isinstance(test, dict):
        if isinstance(test, list):
            return isinstance(actual, list) and all(item in actual for item in test)
        return there and (test in actual if isinstance(actual, list) else actual == test)
    return all(_operator(actual, name, operand) for name, operand in test.items())


def _operator(actual, name, operand):
    if name == "any":
        return any(_agrees(actual, _as(actual, item), actual is not None) for item in operand)
    if name == "match":
        if not isinstance(actual, str):
            return False
        if any("\u4e00" <= letter <= "\u9fff" for letter in operand):
            return all(part.lower() in actual.lower() for part in operand.split())
        return set(operand.split()) <= set(actual.split())
    operand = _as(actual, operand)
    if actual is None or isinstance(actual, str) != isinstance(operand, str):
        return False
    if isinstance(actual, str):
        try:
            actual, operand = datetime.fromisoformat(actual), datetime.fromisoformat(operand)
        except ValueError:
            return False
    compare = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__"}[name]
    return getattr(float(actual) if isinstance(actual, int) else actual, compare)(
        float(operand) if isinstance(operand, int) else operand
    )


def _as(actual, operand):
    return datetime.fromisoformat(operand) if isinstance(actual, datetime) else operand


NUMBERS = st.integers(-1, SMALL) | st.sampled_from([4.5, 0.5])
TIMES = st.integers(0, SMALL).map(lambda hours: (START + timedelta(hours=hours)).isoformat())
DAYS = st.integers(0, SMALL).map(lambda days: (START + timedelta(days=days)).isoformat())


def ranges(values):
    return st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), values, min_size=1, max_size=2)


def any_of(values):
    return st.lists(values, max_size=3).map(lambda items: {"any": items})


TAGS = st.sampled_from(["0", "1", "all"])
GROUPS = st.sampled_from(["g0", "g1", "g2", "g9", "'; --"])
MATCHES = st.sampled_from(["red", "two red", "circles two", "ring blue", "红色", "红色 两", "一个 BLUE", "的%"]).map(
    lambda words: {"match": words}
)
LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "width": st.none() | NUMBERS | ranges(NUMBERS) | any_of(NUMBERS),
        "height": NUMBERS | ranges(NUMBERS),
        "format": st.sampled_from(["JPEG", "PNG", "TIFF"]) | any_of(st.sampled_from(["JPEG", "PNG"])),
        "group_id": st.none() | GROUPS | any_of(GROUPS),
        "image_id": any_of(st.integers(0, SMALL).map(str)),
        "caption": st.none() | MATCHES,
        "created_at": TIMES | ranges(TIMES),
        "attributes": st.fixed_dictionaries(
            {},
            optional={
                "colour": st.sampled_from(["red", "green"]) | any_of(st.sampled_from(["red", "blue"])),
                "price": ranges(NUMBERS) | NUMBERS,
                "sold": ranges(DAYS),
                "tags": st.sampled_from(["all", "1"]) | any_of(TAGS) | st.lists(TAGS, max_size=2),
                "nothing'": NUMBERS,
            },
        ),
    },
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda filter: {"not": filter}),
        st.lists(inner, max_size=3).map(lambda filters: {"or": filters}),
        st.lists(inner, max_size=3).map(lambda filters: {"and": filters}),
        st.tuples(LEAVES, inner).map(lambda both: {**both[0], "not": both[1]}),
    ),
    max_leaves=4,
)


@pytest.fixture
def small(project, collection):
    vectors = fill(project, collection, SMALL, lambda number: _stored(facts(number)))
    index(project)
    return vectors


def _stored(row):
    return {**{key: value for key, value in row.items() if key != "created_at"}, "first_seen": row["created_at"]}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(filter=FILTERS, k=st.integers(1, SMALL + 5), grouped=st.booleans(), indexed=st.booleans())
@example(filter={"attributes": {"tags": "all"}}, k=SMALL, grouped=False, indexed=True)
@example(filter={"attributes": {"tags": {"any": ["0", "1"]}}}, k=SMALL, grouped=False, indexed=True)
def test_any_filter_finds_what_brute_force_finds(project, small, filter, k, grouped, indexed):
    query = small[7] + 0.1
    rows = {number: {"image_id": str(number), **facts(number)} for number in range(SMALL)}
    order = np.argsort(-similarities(small, query), kind="stable")
    expected = [number for number in order if holds(filter, rows[number])]
    if grouped:
        seen = {}
        for number in expected:
            seen.setdefault(rows[number]["group_id"] or number, number)
        expected = list(seen.values())
    with connect(project) as connection:
        connection.execute(f"SET LOCAL enable_indexscan = {'on' if indexed else 'off'}".encode())
        found = search(connection, "things", query, k, filter, grouped=grouped)
    cosines = similarities(small, query)
    assert len(found) == min(k, len(expected))
    assert [cosines[int(row["image_id"])] for row in found] == pytest.approx(
        [cosines[number] for number in expected[:k]], abs=2e-3
    )
    assert {int(row["image_id"]) for row in found} <= set(expected) or not grouped


# --- selectivities ----------------------------------------------------------------------------------------------------


@pytest.fixture
def large(project, collection):
    chance = np.random.default_rng(1)
    shares = chance.random(LARGE)
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


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter", "told"),
    [
        ({"colour": "red"}, 'filter: "colour" is not one of group_id'),
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
        ({"created_at": {"gt": "yesterday"}}, 'filter: "created_at" gt takes a time such as'),
        ({"created_at": {"gt": "2026-02-31"}}, "takes a time such as"),
        ({"attributes": 1}, 'filter: "attributes" takes an object'),
        ({"attributes": {"price": {"gt": True}}}, 'filter: attribute "price" gt takes a number, not true'),
        ({"attributes": {"price": {"about": 1}}}, 'filter: attribute "price" has an unknown operator "about"'),
        ({"or": {"width": 1}}, 'filter: "or" takes a list of filters'),
        ({"and": [1]}, "filter is a JSON object such as"),
        ({"not": [1]}, "filter is a JSON object such as"),
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
