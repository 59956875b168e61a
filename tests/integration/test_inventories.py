"""Collections whose source is an inventory of a bucket: what is listed, and what it is too old to know."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.pipeline.running import run_collection
from image_retrieval.store import inventories, listings, vector_tables
from image_retrieval.store.connection import connect
from image_retrieval.store.hints import create_hinted
from image_retrieval.store.listings import ListedRow
from integration.inventories import FIELDS, inventory, rows_of
from integration.pictures import SCENES, put
from integration.tables import rows, versions

FEW = dict(list(SCENES.items())[:6])
REJECTED = "SELECT uri, stage, reason, detail FROM retrieval.rejected ORDER BY uri"
SHOWN = "SELECT image_id FROM images.things ORDER BY image_id"


@pytest.fixture
def prefix(project, store, collection):
    """Where the pictures of the bucket lie."""
    put(store, collection.source, FEW)
    return collection.source


@pytest.fixture
def entries(store, prefix):
    return lambda: [entry for page in store.pages(prefix) for entry in page if entry.key in FEW]


@pytest.fixture
def folder(prefix):
    return f"{prefix}inventories/daily/"


@pytest.fixture
def run(project, change_collection, folder):
    """Run the collection over the latest inventory."""
    number = iter(range(100))

    def run(settings=project, **options):
        given = {"source": folder, "format": "inventory", "id_pattern": None, "deletion_limit": 1.0}
        return run_collection(change_collection(**given | options), f"run {next(number)}", settings)

    return run


def now():
    return datetime.now(UTC)


@pytest.mark.parametrize("form", ["CSV", "ORC", pytest.param("Parquet", marks=pytest.mark.slow)])
def test_each_format_lists_the_latest_pictures_at_their_versions(form, run, entries, store, folder, database_url):
    fields = (*FIELDS, "IsLatest", "IsDeleteMarker")
    told = [row | {"IsLatest": True, "IsDeleteMarker": False} for row in rows_of(entries())]
    told += [told[0] | {"ETag": "former", "IsLatest": False}, told[0] | {"Key": "gone.jpg", "IsDeleteMarker": True}]
    told += [told[0] | {"Key": "things/", "Size": 0}, told[0] | {"Key": "notes.txt"}]
    inventory(folder, [], form=form, created=now() - timedelta(days=1), fields=fields).put(store)
    inventory(folder, told, form=form, created=now(), fields=fields, seconds=form == "CSV").put(store)
    store.write(f"{folder}hive/dt=2999-01-01-00-00/symlink.txt", b"")
    report = run()
    assert (report["state"], report["listed"], report["embedded"], report["rejected"]) == ("success", 6, 6, 0)
    shown = sorted((entry.uri.removeprefix("s3://images/").rpartition(".")[0],) for entry in entries())
    assert rows(database_url, SHOWN) == shown
    before = versions(database_url)
    report = run()
    assert (report["listed"], report["new"], report["changed"], report["gone"]) == (6, 0, 0, 0)
    assert versions(database_url) == before


def test_versions_without_etags_are_read_as_they_were_listed(run, entries, store, folder, prefix, database_url):
    fields = ("Bucket", "Key", "Size", "LastModifiedDate")
    inventory(folder, rows_of(entries()), created=now(), fields=fields).put(store)
    first, second = list(FEW)[:2]
    store.write(f"{prefix}{first}", FEW[second])
    report = run()
    assert (report["embedded"], report["rejected"]) == (5, 1)
    [(uri, stage, reason, _)] = rows(database_url, REJECTED)
    assert (uri, stage, reason) == (f"{prefix}{first}", "resample", "changed_while_reading")
    inventory(folder, rows_of(entries()), created=now() + timedelta(minutes=1), fields=fields).put(store)
    report = run()
    assert (report["new"], report["changed"], report["embedded"], report["rejected"]) == (1, 0, 1, 0)


def test_what_came_after_the_inventory_stays_until_a_newer_one(
    run, entries, store, folder, prefix, database_url, project, collection
):
    made = now() - timedelta(hours=1)
    inventory(folder, rows_of(entries()[:3]), created=made).put(store)
    run_collection(collection, "of the prefix", project)
    shown = rows(database_url, SHOWN)
    before = versions(database_url)
    report = run()
    assert (report["listed"], report["new"], report["changed"], report["gone"]) == (6, 0, 0, 0)
    assert (rows(database_url, SHOWN), versions(database_url)) == (shown, before)
    inventory(folder, rows_of(entries()[:3]), created=now() + timedelta(minutes=1)).put(store)
    assert run()["gone"] == 3


MADE = datetime(2026, 11, 26, 1, tzinfo=UTC)
KNOWN = (
    "INSERT INTO retrieval.image (collection, image_id, uri, etag, size, last_modified, first_seen, deleted) "
    "VALUES ('things', %s, %s, %s, 1, %s, %s, %s)"
)
VECTORS = (
    "INSERT INTO retrieval.vector_things_random (id, etag, embedding) "
    "SELECT id, etag, array_fill(0.1, ARRAY[32])::halfvec FROM retrieval.image"
)
hours = st.integers(-3, 3)
images = st.tuples(hours, hours, st.none() | hours, st.sampled_from("ab"))


@pytest.fixture
def compared(project, collection):
    """Compare known images with an inventory, and undo it: whether each is deleted, and which are due."""
    with connect(project) as connection:
        vector_tables.ensure_vector_table(connection, collection, 32)

        def at(hour):
            return MADE + timedelta(hours=hour)

        def compared(known, listed):
            with connection.transaction(force_rollback=True), connection.cursor() as cursor:
                told = [
                    (str(key), str(key), etag, at(hour), at(seen), None if gone is None else at(gone))
                    for key, (hour, seen, gone, etag) in known.items()
                ]
                cursor.executemany(KNOWN, told)
                cursor.execute(VECTORS)
                create_hinted(connection)
                with listings.writing_listed(connection) as write:
                    for key, (hour, etag) in listed.items():
                        write(ListedRow(str(key), str(key), str(key), etag, 1, at(hour), None, None))
                inventories.keep_newer(connection, collection.name, MADE)
                listings.find_differences(connection, collection.space)
                listings.mark_gone(connection)
                listings.restore(connection, collection.name)
                listings.register_listed(connection, collection.name)
                listings.find_due(connection, collection.space, full=False)
                found = cursor.execute("SELECT uri, deleted IS NOT NULL AS gone FROM retrieval.image").fetchall()
                due = cursor.execute("SELECT uri FROM due").fetchall()
            return {int(row["uri"]): row["gone"] for row in found}, {int(row["uri"]) for row in due}

        yield compared
        connection.rollback()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    known=st.dictionaries(st.integers(0, 6), images, max_size=6),
    listed=st.dictionaries(st.integers(0, 6), st.tuples(st.integers(-3, -1), st.sampled_from("ab")), max_size=6),
)
def test_nothing_newer_than_an_inventory_is_changed_by_it(compared, known, listed):
    deleted, due = compared(known, listed)
    for key, (written, seen, gone, etag) in known.items():
        is_stale = gone is not None and key in listed and gone >= 0 and listed[key][0] <= written
        if gone is None:
            assert deleted[key] == (key not in listed and max(written, seen) < 0)
        else:
            assert deleted[key] == (key not in listed or is_stale)
        if gone is None or is_stale:
            assert (key in due) == (key in listed and not is_stale and listed[key][1] != etag and written < 0)
    assert due - known.keys() == listed.keys() - known.keys()


def test_an_inventory_that_cannot_be_used_is_told_in_one_line(run, entries, store, folder):
    with pytest.raises(UserError, match=r"there is no inventory under .*daily/: give the folder"):
        run()
    written = inventory(folder, rows_of(entries()), created=now())
    manifest = next(uri for uri in written.objects if uri.endswith("manifest.json"))
    data = [uri for uri in written.objects if uri != manifest]
    written.put(store)
    store.write(data[1], written.objects[data[0]])
    with pytest.raises(UserError, match=r"-1.csv is not the file that the inventory's manifest names \(its MD5"):
        run()
    store.delete([data[1]])
    with pytest.raises(UserError, match=r"-1.csv, which does not exist: wait for the next inventory"):
        run(source=manifest)
    written.put(store)
    for data, why in {
        b"{}": "sourceBucket: Field required",
        b"[": "Invalid JSON",
        b'{"sourceBucket":"photos","creationTimestamp":"1","fileFormat":"AVRO","fileSchema":"Key","files":[]}': "AVRO",
    }.items():
        store.write(manifest, data)
        with pytest.raises(UserError, match=why):
            run()


def test_only_what_the_installation_may_read_is_listed(run, entries, store, folder, prefix, project, database_url):
    told = rows_of(entries())
    inventory(folder, [*told, told[0] | {"Key": "elsewhere/a.jpg"}], created=now()).put(store)
    assert run(settings=project.model_copy(update={"allowed_sources": (prefix,)}))["listed"] == len(FEW)
    with pytest.raises(UserError, match="is outside what this installation may read"):
        run(settings=project.model_copy(update={"allowed_sources": (folder,)}))
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(len(FEW),)]
