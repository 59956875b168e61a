"""Comparing a listing while it is read plans what comparing the whole of it, one page after the other, plans."""

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from odd_s3 import etag_of, odd_store
from psycopg.types.json import Jsonb

from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline import changes, listing
from image_retrieval.store import known
from image_retrieval.store.connection import connect
from image_retrieval.store.vector_tables import ensure_vector_table

SOURCE = "s3://bucket/in/"
PAGE = 3
NAMES = st.sampled_from(
    ["a", "a/", "a/1.jpg", "a/1.jpg2", "a/2.JPG", "a/é.jpg", "a%2F1.jpg", "a+b/ .jpg", "b/\U0001f600.jpg", "b/\ufffd"]
    + ["B/1.jpg", "b&c/<1>.jpg", "b//1", f"x#sha256:{'0' * 32}", "c/" + "k" * 1000]
    + [f"d/{number:02}.jpg" for number in range(40)]
) | st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=3)


@dataclass(frozen=True)
class Row:
    """What the tables say of an image: the version of its vector, and what else decides."""

    etag: str | None
    deleted: bool = False
    group: str | None = None
    about: bool = False
    rejected: tuple[str, bool, str | None] | None = None  # its etag, whether it is final, and its model


ETAGS = st.sampled_from([etag_of(b"1"), etag_of(b"2")])
REJECTED = st.none() | st.tuples(ETAGS, st.booleans(), st.sampled_from([None, "random", "other"]))
USUAL = st.just(Row(etag_of(b"1"), group="a"))
ODD = st.builds(Row, st.none() | ETAGS, st.booleans(), st.sampled_from([None, "a", "b"]), st.booleans(), REJECTED)


@pytest.fixture(scope="module")
def odd():
    with odd_store() as store:
        store.page = PAGE
        yield store


@pytest.fixture
def fill(project, change_collection):
    """The collection, and a function that fills the tables within a transaction."""
    collection = change_collection(
        source=SOURCE, glob="*", deletion_limit=1.0, id_pattern="^(?P<group_id>[a-z]+)/(?P<intra_id>[0-9]+)?"
    )
    with connect(project) as connection:
        ensure_vector_table(connection, collection, 3)

    def write(connection, rows):
        for name, row in rows.items():
            uri = SOURCE + name
            found = connection.execute(
                "INSERT INTO retrieval.image (collection, image_id, uri, deleted, group_id, about)"
                " VALUES ('things', %s, %s, CASE WHEN %s THEN now() END, %s, %s) RETURNING id",
                (name, uri, row.deleted, row.group, Jsonb({"caption": "c"}) if row.about else None),
            ).fetchone()
            if row.etag:
                connection.execute(
                    "INSERT INTO retrieval.vector_things_random VALUES (%s, %s, '[1,0,0]', 1)",
                    (found["id"], row.etag),
                )
            if row.rejected:
                etag, final, model = row.rejected
                connection.execute(
                    "INSERT INTO retrieval.rejected (collection, uri, etag, stage, model, reason, final, run_id)"
                    " VALUES ('things', %s, %s, 'resample', %s, 'unreachable', %s, 'former')",
                    (uri, etag, model, final),
                )

    return collection, write


def outcome(connection, *compared):
    """The plan, and what the tables hold then."""
    plan = listing.compare(connection, *compared, run_id="run")
    queries = (
        "SELECT uri, image_id, deleted IS NULL AS there, group_id, intra_id, about FROM retrieval.image",
        "SELECT uri, etag, is_new FROM due",
        "SELECT uri, etag, stage, model, reason, attempts, final FROM retrieval.rejected",
    )
    tables = [connection.execute(f'{query} ORDER BY uri COLLATE "C"').fetchall() for query in queries]
    connection.rollback()
    return plan, tables


def disordered(_):
    raise known.Disordered


WAYS = {
    "by an index": [],
    "sorted": [("image_retrieval.store.known.fetch_value", lambda *_: False)],
    "disordered at last": [("image_retrieval.store.known.KnownImages.rest", disordered)],
}


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(NAMES, st.sampled_from([b"1", b"2", b""]), max_size=40),
    st.dictionaries(NAMES.filter(lambda name: "#" not in name), USUAL | ODD, max_size=40),
    st.booleans(),
)
@example(
    {f"d/{n:02}.jpg": b"1" for n in range(40)},
    {f"d/{n:02}.jpg": Row(etag_of(b"1"), group="d") for n in range(38)},
    True,
)
@example({"a": b"1"}, {"a": Row(etag_of(b"1"), rejected=(etag_of(b"1"), False, None))}, False)
@example({"a": b"1"}, {"a": Row(etag_of(b"1"), rejected=(etag_of(b"2"), True, "other"))}, False)
@example({"a": b"1"}, {"a": Row(etag_of(b"1"), about=True)}, False)
def test_the_plan_is_that_of_a_whole_listing(odd, project, fill, way, objects, rows, cut):
    collection, write = fill
    odd.objects = {f"in/{name}": data for name, data in objects.items()}
    store = ObjectStore(odd.settings())
    with pytest.MonkeyPatch.context() as patch, connect(project) as connection:
        patch.setattr(listing.listings, "RANGE", 5 if cut else 10**6)
        patch.setattr(changes, "AT_ONCE", 4)
        for name, instead in WAYS[way]:
            patch.setattr(name, instead)
        write(connection, rows)
        found = outcome(connection, collection, store, project)
        patch.setattr(listing, "find_changes", lambda *_: None)
        patch.setattr(
            ObjectStore,
            "pages",
            lambda self, prefix, **_: self._of(prefix).pages(prefix, missing_ok=False, follow_links=False, cuts=None),
        )
        write(connection, rows)
        assert found == outcome(connection, collection, store, project)
