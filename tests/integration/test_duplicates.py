"""Duplicates are found in their tiers, new images compared with all, and what people say of them stays."""

import re
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from image_retrieval.errors import UserError
from image_retrieval.pipeline.fingerprinting import fingerprint_images
from image_retrieval.pipeline.removing import remove_expired
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.upkeep import Kept, refresh_duplicates
from image_retrieval.store import duplicates
from image_retrieval.store.connection import connect
from image_retrieval.store.duplicates import count_waiting, find_duplicates, list_pairs, set_verdict
from image_retrieval.store.vector_tables import ensure_vector_table, show_in_view
from integration.pictures import SCENES, half_size_copy, put
from integration.tables import VECTORS, rows

SQL_PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
DIMENSIONS = 8
LOOKS = "SELECT colours, sharpness, complexity FROM images.things ORDER BY image_id"
FOUND = "SELECT tier, a, b FROM images.duplicates WHERE collection = 'things' ORDER BY 1, 2, 3"


@pytest.fixture
def add(project, collection, database_url):
    """Adds an image with a vector at an angle (degrees), a perceptual hash, and the digest of its bytes."""
    with connect(project) as connection:
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
            "VALUES ('random', 'none', 'vision_transformer', 8, true)"
        )
        ensure_vector_table(connection, collection, DIMENSIONS)
        show_in_view(connection, collection, DIMENSIONS, complete=True)

    def add(name, angle, phash=None, sha256=None):
        vector = np.zeros(DIMENSIONS, np.float32)
        vector[:2] = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        with psycopg.connect(database_url) as connection:
            register_vector(connection)
            connection.execute(
                "WITH image AS (INSERT INTO retrieval.image AS i (collection, image_id, uri, etag, sha256, phash) "
                "VALUES ('things', %(name)s, %(name)s, %(etag)s, %(sha256)s, %(phash)s) ON CONFLICT (collection, uri) "
                "DO UPDATE SET etag = excluded.etag, sha256 = excluded.sha256, phash = excluded.phash RETURNING id) "
                f"INSERT INTO {VECTORS} (id, etag, embedding) SELECT id, %(etag)s, %(vector)s FROM image "
                "ON CONFLICT (id) DO UPDATE SET etag = excluded.etag, embedding = excluded.embedding",
                {
                    "name": name,
                    "etag": f"{angle} {phash} {sha256}",
                    "sha256": sha256 or name,
                    "phash": phash,
                    "vector": HalfVector(vector),
                },
            )

    return add


def test_each_tier_finds_its_own(add, project, collection, database_url):
    add("first", 0, phash=0b0, sha256="same")
    add("copy", 0, phash=0b0, sha256="same")
    add("third", 0, phash=0b0, sha256="same")
    add("smaller", 20, phash=0b111111)  # cosine 0.94: the hash says so, and the vector agrees
    add("flat", 90, phash=0b0)  # the hash says so, and the vector does not
    add("near", 35, phash=-1)  # a cosine of 0.966 with `smaller`, another hash
    add("unhashed", 180)
    found = find_duplicates(collection, project)
    assert found == {"compared": 7, "picture": 3, "scene": 1}
    assert rows(database_url, FOUND) == [
        ("bytes", "first", "copy"),
        ("bytes", "first", "third"),
        ("picture", "copy", "smaller"),
        ("picture", "first", "smaller"),
        ("picture", "third", "smaller"),
        ("scene", "smaller", "near"),
    ]
    query = "SELECT round(similarity::numeric, 2), bits FROM images.duplicates WHERE tier = 'picture'"
    assert {(float(similarity), bits) for similarity, bits in rows(database_url, query)} == {(0.94, 6)}


def test_the_documented_queries_are_answered(add, project, collection, database_url):
    add("red-circle/0000", 0, phash=0b0)
    add("red-circle/0000_again", 10, phash=0b11)
    find_duplicates(collection, project)
    section = re.search("## Duplicates\n(.*?)\n## ", SQL_PAGE.read_text(), re.DOTALL)
    undecided, decide = re.findall("```sql\n(.*?)```", section[1].replace("demo", "things"), re.DOTALL)
    [(a, b, _, bits)] = rows(database_url, undecided)
    assert (a, b, bits) == ("red-circle/0000", "red-circle/0000_again", 2)
    rows(database_url, decide)
    assert rows(database_url, undecided) == []


def test_only_what_is_new_or_changed_is_compared(add, project, collection, database_url):
    add("a", 0)
    add("b", 5)
    assert find_duplicates(collection, project)["compared"] == 2
    add("c", 10)
    with connect(project) as connection:
        assert count_waiting(connection, "things", "random") == 1
    assert find_duplicates(collection, project) == {"compared": 1, "picture": 0, "scene": 3}
    add("a", 90)
    assert find_duplicates(collection, project) == {"compared": 1, "picture": 0, "scene": 1}
    assert rows(database_url, FOUND) == [("scene", "b", "c")]
    rows(database_url, "UPDATE retrieval.image SET deleted = now() WHERE image_id = 'b' RETURNING 1")
    assert rows(database_url, FOUND) == []
    assert find_duplicates(collection, project)["compared"] == 0
    stricter = collection.model_copy(update={"scene_similarity": 0.999})
    rows(database_url, "UPDATE retrieval.image SET deleted = NULL RETURNING 1")
    assert find_duplicates(stricter, project) == {"compared": 3, "picture": 0, "scene": 0}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(
    parts=st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 17), st.sampled_from([0, 0b1, -1])), max_size=5),
        min_size=1,
        max_size=3,
    )
)
def test_in_whatever_steps_images_come_the_pairs_are_those_of_brute_force(
    add, project, collection, database_url, monkeypatch, parts
):
    monkeypatch.setattr(duplicates, "BATCH", 2)
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE retrieval.image CASCADE")
    there = {}
    for part in parts:
        for number, turn, phash in part:
            add(str(number), 10 * turn, phash)
            there[number] = turn, phash
        find_duplicates(collection, project)
    expected = set()
    for a in there:
        for b in set(there) - {a}:
            (turn, phash), (other, others) = there[a], there[b]
            alike = bin((phash ^ others) % 2**64).count("1") <= 6
            if abs(turn - other) <= 1:  # 10 degrees: 0.985; 20 degrees: 0.94
                expected.add(("picture" if alike else "scene", frozenset((str(a), str(b)))))
            elif alike and abs(turn - other) == 2:
                expected.add(("picture", frozenset((str(a), str(b)))))
    assert {(tier, frozenset(pair)) for tier, *pair in rows(database_url, FOUND)} == expected


def test_a_verdict_stays_until_the_bytes_change(add, project, collection, database_url):
    add("a", 0)
    add("b", 1)
    find_duplicates(collection, project)

    def told():
        with connect(project) as connection:
            return [
                (pair["verdict"], pair["decided_by"]) for pair in list_pairs(connection, "things", "scene", limit=9)
            ]

    rows(database_url, "SELECT images.set_verdict('things', 'b', 'a', 'different')")
    assert told() == [("different", "postgres")]
    with connect(project) as connection:
        set_verdict(connection, "things", "a", "b", "duplicate", "ann")
        assert list_pairs(connection, "things", "scene", decided=False, limit=9) == []
    find_duplicates(collection.model_copy(update={"scene_similarity": 0.9}), project)
    assert told() == [("duplicate", "ann")]
    rows(database_url, "UPDATE retrieval.image SET deleted = now() WHERE image_id = 'b' RETURNING 1")
    remove_expired(collection, project.model_copy(update={"deleted_grace_days": 0.0}))
    assert told() == []
    add("b", 1)  # back, as a row of its own
    find_duplicates(collection, project)
    assert told() == [("duplicate", "ann")]
    add("b", 1, sha256="another")
    find_duplicates(collection, project)
    assert told() == [(None, None)]
    with connect(project) as connection:
        set_verdict(connection, "things", "a", "b", "duplicate", "ann")
        set_verdict(connection, "things", "a", "b", None, "ann")
    assert told() == [(None, None)]


@pytest.mark.parametrize(
    ("a", "b", "verdict", "told"),
    [
        ("a", "nobody", "duplicate", "collection 'things' has no two images 'a' and 'nobody'"),
        ("a", "a", "duplicate", "collection 'things' has no two images 'a' and 'a'"),
        ("a", "b", "perhaps", "a verdict must be duplicate, different or null, not 'perhaps'"),
    ],
)
def test_a_verdict_that_cannot_be_is_told(add, project, a, b, verdict, told):
    add("a", 0)
    add("b", 1)
    with connect(project) as connection, pytest.raises(UserError, match=told):
        set_verdict(connection, "things", a, b, verdict, "ann")


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_images_of_before_there_were_hashes_get_theirs(store, change_collection, project, database_url, fit):
    entry = change_collection(resample={"fit": fit})
    few = dict(list(SCENES.items())[:4])
    put(store, entry.source, few | {"small/copy.jpg": half_size_copy(next(iter(few.values())))})
    run_collection(entry, "run", project)
    before = rows(database_url, "SELECT phash FROM images.things ORDER BY image_id")
    looks = rows(database_url, LOOKS)
    rows(
        database_url,
        "UPDATE retrieval.image SET phash = NULL, colours = NULL, sharpness = NULL, complexity = NULL RETURNING 1",
    )
    assert refresh_duplicates(Kept(entry, listed=True), project)["fingerprinted"] == 5
    after = rows(database_url, "SELECT phash FROM images.things ORDER BY image_id")
    assert max(bin((a ^ b) % 2**64).count("1") for (a,), (b,) in zip(before, after, strict=True)) <= 4
    assert ("picture", next(iter(few)).rpartition(".")[0], "small/copy") in rows(database_url, FOUND)
    assert rows(database_url, LOOKS) == looks
    assert fingerprint_images(entry, project) == 0


def test_a_cropped_picture_tells_its_colours_and_no_hash(store, change_collection, project, database_url):
    entry = change_collection(resample={"fit": "crop"})
    put(store, entry.source, dict(list(SCENES.items())[:2]))
    run_collection(entry, "run", project)
    rows(database_url, "UPDATE retrieval.image SET phash = NULL, colours = NULL RETURNING 1")
    assert fingerprint_images(entry, project) == 2
    assert rows(database_url, "SELECT DISTINCT phash, colours IS NULL FROM images.things") == [(None, False)]
    assert fingerprint_images(entry, project) == 0
