"""What the pixels tell of an image is kept beside its vector, and finds copies in plain SQL."""

from datetime import UTC, datetime

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_retrieval.pipeline.listing import list_images
from image_retrieval.store.connection import connect
from image_retrieval.store.loading import COLUMNS, load_vectors
from image_retrieval.store.vector_tables import show_in_view
from integration.pictures import SCENES, put
from integration.tables import VECTORS, rows

HASHES = st.integers(-(2**63), 2**63 - 1)
TAKEN = datetime(2026, 5, 4, 12, 30, 0, 123456)


@pytest.fixture
def load(project, collection, store, database_url):
    """Loads images with these fingerprints, each with the same vector, and returns how many vectors were written."""
    put(store, collection.source, dict(list(SCENES.items())[:4]))
    list_images(collection, "run", project)
    listed = rows(database_url, "SELECT id FROM retrieval.image ORDER BY uri")

    def load(fingerprints):
        facts = {"etag": "e", "size": 9, "last_modified": datetime.now(UTC), "sha256": "f00"}
        picture = {"width": 8, "height": 8, "format": "JPEG", "resampled_uri": None}
        images = [facts | picture | {"id": id} | found for (id,), found in zip(listed, fingerprints, strict=False)]
        table = pa.table({name: pa.array([row.get(name) for row in images], kind) for name, kind in COLUMNS.items()})
        vectors = pa.chunked_array([[[1.0] + [0.0] * 191] * len(images)], pa.list_(pa.float32(), 192))
        with connect(project) as connection:
            written = load_vectors(connection, collection, table, vectors)
            show_in_view(connection, collection, 192, complete=True)
        return written

    return load


def fingerprint(phash=None, captured_at=None, mode=None):
    return {"phash": phash, "captured_at": captured_at, "mode": mode}


def test_fingerprints_are_kept_as_they_are(load, database_url):
    load([fingerprint(-(2**63), TAKEN, "CMYK"), fingerprint(2**63 - 1), fingerprint()])
    query = "SELECT phash, captured_at, mode FROM retrieval.image WHERE etag IS NOT NULL ORDER BY uri"
    assert rows(database_url, query) == [(-(2**63), TAKEN, "CMYK"), (2**63 - 1, None, None), (None, None, None)]
    shown = rows(database_url, "SELECT phash, captured_at, sha256 FROM images.things ORDER BY image_path")
    assert shown == [(-(2**63), TAKEN, "f00"), (2**63 - 1, None, "f00"), (None, None, "f00")]


def test_images_of_a_former_schema_get_theirs_without_a_new_vector(load, database_url):
    assert load([fingerprint()]) == 1
    before = rows(database_url, f"SELECT xmin::text FROM {VECTORS}")
    assert load([fingerprint(5, TAKEN, "L")]) == 0
    assert rows(database_url, "SELECT phash, captured_at FROM images.things") == [(5, TAKEN)]
    assert rows(database_url, f"SELECT xmin::text FROM {VECTORS}") == before


def test_near_duplicates_are_found_in_sql(load, database_url):
    load([fingerprint(0b1111), fingerprint(0b1110), fingerprint(-1), fingerprint()])
    query = (
        "SELECT a.phash, b.phash, images.phash_distance(a.phash, b.phash) "
        "FROM images.things AS a JOIN images.things AS b ON a.image_id < b.image_id "
        "WHERE images.phash_distance(a.phash, b.phash) <= 6"
    )
    assert [{*row[:2], row[2]} for row in rows(database_url, query)] == [{0b1111, 0b1110, 1}]


@given(a=HASHES, b=HASHES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_the_distance_counts_the_bits_that_differ(one_connection, a, b):
    row = one_connection.execute("SELECT images.phash_distance(%s, %s)", (a, b)).fetchone()
    assert row == (((a ^ b) & (2**64 - 1)).bit_count(),)


@pytest.fixture
def one_connection(database_url):
    with psycopg.connect(database_url) as connection:
        yield connection
