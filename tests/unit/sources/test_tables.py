"""Tables of each format are read as they were written: lines of URIs, and images in a column of bytes."""

import socket
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.written_tables import WRITERS

from image_retrieval.collection import Collection
from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.objects import ObjectStore, StoreUnavailable
from image_retrieval.settings import Settings
from image_retrieval.sources import table_lines as lines_of
from image_retrieval.sources.members import read_members
from image_retrieval.sources.table_lines import read_images

MODEL = {"name": "m", "source": "m/"}
ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
images = st.binary(min_size=0, max_size=40)


def everything(uri):
    return None


@pytest.fixture
def store(tmp_path):
    return ObjectStore(Settings(work_uri=f"file://{tmp_path}/"))


def declared(source, form, **options):
    return Collection(name="things", model=MODEL, source=source, format=form, **options)


def members(collection, store, refusal=everything):
    batches = list(read_members(collection, store, refusal))
    return [row for batch in batches for row in batch.rows], [line for batch in batches for line in batch.faulty]


@pytest.mark.parametrize("form", WRITERS)
def test_a_table_of_uris_is_read_like_an_index_file(form, store, tmp_path):
    source = f"file://{tmp_path}/table/"
    uris = [f"s3://photos/{number}.jpg" for number in range(5)] + ["no uri"]
    about = [{"colour": "red", "n": number} for number in range(6)]
    WRITERS[form](source, pa.table({"uri": uris, "title": list("abcdef"), "attributes": about}), store)
    rows, faulty = members(declared(source, form, columns={"caption": "title"}), store)
    assert [(row.uri, row.caption, row.attributes) for row in rows] == [
        (uri, title, f'{{"colour": "red", "n": {number}}}')
        for number, (uri, title) in enumerate(zip(uris[:5], "abcde", strict=True))
    ]
    assert [line.number for line in faulty] == [6]
    with pytest.raises(UserError, match="has no column 'place'; it has 'uri', 'title', 'attributes'"):
        members(declared(source, form, columns={"uri": "place"}), store)


@pytest.mark.parametrize("form", WRITERS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=st.dictionaries(ids, st.none() | images, min_size=1, max_size=7),
    later=st.dictionaries(ids, images, max_size=3),
    batch=st.integers(1, 3),
)
def test_images_of_a_table_are_read_at_the_versions_that_were_listed(form, store, written, later, batch):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_of, "IMAGES", batch)
        source = f"file://{folder}/table/"
        collection = declared(source, form, columns={"image": "data"})

        def write(pictures):
            table = {"id": pa.array(pictures, pa.string()), "data": pa.array(pictures.values(), pa.binary())}
            WRITERS[form](source, pa.table(table), store)

        def read(versions):
            return dict(read_images(collection, versions, store, everything))

        write(written)
        rows, faulty = members(collection, store)
        held = {f"{source}#id={id}": data for id, data in written.items() if data is not None}
        assert ([row.uri for row in rows], [row.id for row in rows]) == (list(held), [row.key for row in rows])
        assert [line.detail for line in faulty] == ["has no image"] * (len(written) - len(held))
        versions = {row.uri: row.etag for row in rows}
        assert read(versions) == held
        assert read(dict(list(versions.items())[:1])) == dict(list(held.items())[:1])
        write(written | later)
        for uri, data in read(versions).items():
            id = uri.removeprefix(f"{source}#id=")
            changed = id in later and later[id] != written[id]
            assert isinstance(data, ImageRejected) if changed else data == written[id]
        assert all(isinstance(data, ImageRejected) for data in read({f"{source}#id=nothing here": "v"}).values())


@pytest.mark.parametrize("form", WRITERS)
def test_a_column_of_versions_spares_reading_the_images(form, store, tmp_path):
    source = f"file://{tmp_path}/table/"
    columns = {"id": [7, 8, 9], "etag": ["a", '"b"', None], "data": pa.array([b"1", b"2", b"3"], pa.binary())}
    WRITERS[form](source, pa.table(columns), store)
    collection = declared(source, form, columns={"image": "data"})
    rows, faulty = members(collection, store)
    assert [(row.id, row.etag) for row in rows] == [("7", "a"), ("8", "b")]
    assert [(line.number, line.detail) for line in faulty] == [(3, "has no version")]
    found = dict(read_images(collection, {row.uri: row.etag for row in rows}, store, everything))
    assert list(found.values()) == [b"1", b"2"]
    [stale] = dict(read_images(collection, {rows[0].uri: "other"}, store, everything)).values()
    assert stale.reason == "changed_while_reading"


@pytest.mark.parametrize("form", ["delta", "iceberg"])
def test_a_version_is_read_as_it_was_and_a_missing_one_is_told(form, store, tmp_path):
    source = f"file://{tmp_path}/table/"
    WRITERS[form](source, pa.table({"uri": ["s3://photos/a.jpg"]}), store)
    first = lines_of.open_table(declared(source, form), store, everything).version
    WRITERS[form](source, pa.table({"uri": ["s3://photos/b.jpg"]}), store)
    for version, uri in ((first, "s3://photos/a.jpg"), (None, "s3://photos/b.jpg")):
        rows, _ = members(declared(source, form, table_version=version), store)
        assert [row.uri for row in rows] == [uri]
    with pytest.raises(UserError, match=r"(cannot be read as a Delta table|has no snapshot 77).*"):
        members(declared(source, form, table_version=77), store)


@pytest.mark.parametrize("form", WRITERS)
def test_a_folder_without_a_table_is_told_in_one_line(form, store, tmp_path):
    (tmp_path / "table" / "metadata").mkdir(parents=True)
    with pytest.raises(UserError) as told:
        members(declared(f"file://{tmp_path}/table/", form), store)
    assert "\n" not in str(told.value)
    assert str(tmp_path) in str(told.value)


@pytest.mark.parametrize("form", ["delta", "iceberg"])
def test_files_that_may_not_be_read_are_refused_and_a_missing_library_is_named(form, store, tmp_path, monkeypatch):
    source = f"file://{tmp_path}/table/"
    WRITERS[form](source, pa.table({"uri": ["s3://photos/a.jpg"]}), store)
    with pytest.raises(UserError, match="not this one"):
        members(declared(source, form), store, lambda uri: "not this one" if uri.endswith(".parquet") else None)
    package = {"delta": "deltalake", "iceberg": "pyiceberg"}[form]
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UserError, match=rf"needs the package {package}: pip install 'image-retrieval\[{form}\]'"):
        members(declared(source, form), store)


def test_a_delta_table_that_the_library_cannot_read_is_told(store, tmp_path):
    table = pa.table({"uri": ["s3://photos/a.jpg"]})
    write_deltalake(tmp_path / "table", table, configuration={"delta.enableDeletionVectors": "true"})
    with pytest.raises(UserError, match=r"cannot be read as a Delta table: .*deletionVectors"):
        members(declared(f"file://{tmp_path}/table/", "delta"), store)


def test_columns_that_some_files_lack_are_empty_there_and_rows_of_a_struct_are_no_ids(store, tmp_path):
    inner = pa.array([{"id": "x"}, {"id": "y"}])
    first = pa.table(
        {"about": inner, "id": ["a", "b"], "data": pa.array([b"1", b"2"], pa.binary()), "caption": ["c", "d"]}
    )
    second = pa.table({"id": ["e"], "data": pa.array([b"3"], pa.binary())})
    for number, table in enumerate((first, second)):
        (tmp_path / "table").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "table" / f"{number}.parquet")
    collection = declared(f"file://{tmp_path}/table/", "parquet", columns={"image": "data"})
    rows, faulty = members(collection, store)
    assert ([(row.id, row.caption) for row in rows], faulty) == ([("a", "c"), ("b", "d"), ("e", None)], [])
    found = read_images(collection, {row.uri: row.etag for row in rows}, store, everything)
    assert [data for _, data in found] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("kind", [pa.int64(), pa.large_string()])
def test_ids_of_any_type_are_found_again(form, kind, store, tmp_path):
    source = f"file://{tmp_path}/table/"
    ids = pa.array([3, -7, 12], pa.int64())
    WRITERS[form](source, pa.table({"id": ids.cast(kind), "data": pa.array([b"1", b"2", b"3"], pa.binary())}), store)
    collection = declared(source, form, columns={"image": "data"})
    rows, _ = members(collection, store)
    assert [row.id for row in rows] == ["3", "-7", "12"]
    found = dict(read_images(collection, {row.uri: row.etag for row in rows[1:]}, store, everything))
    assert list(found.values()) == [b"2", b"3"]


@pytest.mark.parametrize("form", ["delta", "iceberg"])
def test_a_store_that_does_not_answer_is_an_outage_in_one_line(form, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        keys = {"s3_access_key_id": "k", "s3_secret_access_key": "s", "s3_timeout_seconds": 1}
        store = ObjectStore(Settings(work_uri=f"file://{tmp_path}/", s3_endpoint_url=endpoint, **keys))
        source = "s3://lake/table/metadata/v1.metadata.json" if form == "iceberg" else "s3://lake/table/"
        with pytest.raises(
            StoreUnavailable, match=rf"the object store at {endpoint} does not let s3://lake/table/"
        ) as told:
            members(declared(source, form), store)
    assert str(told.value).isprintable()
