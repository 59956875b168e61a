"""A collection as a data set: what is exported is what the view shows, and what is imported is what was given."""

import json

import duckdb
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.pipeline.dataset import COLUMNS, NAME
from image_retrieval.pipeline.exporting import export_collection
from image_retrieval.pipeline.importing import import_collection
from image_retrieval.pipeline.listing import list_images
from integration.pictures import put
from integration.tables import VECTORS, rows, versions

IMAGES, DIMENSIONS = 7, 192
VIEW = "SELECT image_id, image_path, embedding::text, width, sha256, phash FROM images.things ORDER BY image_id"


@pytest.fixture
def paths(store, collection):
    """Objects of the collection's source."""
    put(store, collection.source, {f"{number}.jpg": b"%d" % number for number in range(IMAGES)})
    return [f"{collection.source}{number}.jpg" for number in range(IMAGES)]


@pytest.fixture
def elsewhere(paths, tmp_path):
    """Writes vectors that were made elsewhere into a folder of the test's own."""

    def write(vectors=None, folder="elsewhere", name="part-0.parquet", **columns):
        vectors = np.eye(len(paths), DIMENSIONS) * 3 + 0.25 if vectors is None else vectors
        columns = {"image_path": paths[: len(vectors)], "image_embedding": list(vectors)} | columns
        (tmp_path / folder).mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), tmp_path / folder / name)
        return str(tmp_path / folder)

    return write


@pytest.fixture
def filled(elsewhere, collection, project):
    """The collection with a vector for each image."""
    facts = {"width": [640] * IMAGES, "height": [480] * IMAGES, "format": ["JPEG"] * IMAGES}
    facts |= {"sha256": [f"{number:064}" for number in range(IMAGES)], "phash": [-number for number in range(IMAGES)]}
    import_collection(collection, elsewhere(folder="filled", **facts), project, model="random")


def table(folder):
    return ds.dataset(folder, format="parquet").to_table().sort_by("image_id")


def test_vectors_made_elsewhere_are_searchable_and_need_no_run(elsewhere, report, project, collection, database_url):
    found = report("import", "things", elsewhere(), "--model", "random")
    assert found == {"rows": IMAGES, "written": IMAGES, "unchanged": 0, "rejected": {}, "examples": []}
    query = "SELECT image_id FROM images.search('things', %s::halfvec, k => 1)"
    nearest = [rows(database_url, query, str(row.tolist()))[0][0] for row in np.eye(IMAGES, DIMENSIONS) + 0.01]
    assert nearest == [str(number) for number in range(IMAGES)]
    lengths = rows(database_url, f"SELECT l2_norm(embedding) FROM {VECTORS}")
    assert [length for (length,) in lengths] == pytest.approx([1.0] * IMAGES, abs=1e-3)
    before = versions(database_url)
    assert report("import", "things", elsewhere(), "--model", "random")["unchanged"] == IMAGES
    assert versions(database_url) == before
    plan = list_images(collection, "next", project)
    assert (plan.listed, plan.new, plan.changed, plan.gone) == (IMAGES, 0, 0, 0)


def test_single_bad_rows_are_left_out_counted_and_named(elsewhere, paths, collection, project, database_url):
    good = [1.0] + [0.0] * (DIMENSIONS - 1)
    vectors = [good, [1.0], [float("nan")] * DIMENSIONS, [0.0] * DIMENSIONS, None, good, good, good, good]
    names = [*paths[:5], "s3://elsewhere/a.jpg", None, paths[0], paths[6]]
    uri = elsewhere(vectors, image_path=names)
    found = import_collection(collection, uri, project, model="random")
    assert (found["rows"], found["written"]) == (9, 2)
    lost = f"is not an object of {collection.source}, or came before"
    assert found["rejected"] == {
        "does not have 192 dimensions": 2,
        "is not finite": 1,
        "has only zeros": 1,
        "has no usable image_path": 1,
        lost: 2,
    }
    place = f"{uri}/part-0.parquet"
    assert f"{place} row 2: is not finite" in found["examples"]
    assert sum(found["rejected"].values()) == len(found["examples"])
    assert rows(database_url, "SELECT image_id FROM images.things ORDER BY 1") == [("0",), ("6",)]


def test_an_image_that_is_given_in_two_files_counts_once(elsewhere, collection, project, database_url):
    elsewhere()
    uri = elsewhere(name="part-1.parquet")
    found = import_collection(collection, uri, project, model="random")
    assert (found["written"], sum(found["rejected"].values())) == (IMAGES, IMAGES)
    assert rows(database_url, f"SELECT count(*) FROM {VECTORS}") == [(IMAGES,)]


def test_an_import_that_broke_off_leaves_no_trace(elsewhere, paths, collection, project, database_url):
    def stop(count):
        raise KeyboardInterrupt

    uri = elsewhere()
    with pytest.raises(KeyboardInterrupt):
        import_collection(collection, uri, project, model="random", progress=stop)
    assert rows(database_url, "SELECT to_regclass(%s), (SELECT count(*) FROM retrieval.image)", VECTORS) == [(None, 0)]
    assert import_collection(collection, uri, project, model="random")["written"] == len(paths)


def test_what_does_not_fit_is_refused_and_changes_nothing(
    elsewhere, collection, project, store, tmp_path, database_url
):
    def refusal(uri, **options):
        with pytest.raises(UserError) as told:
            import_collection(collection, uri, project, **options)
        assert "\n" not in str(told.value)
        return str(told.value)

    uri = elsewhere()
    assert "name it with --model" in refusal(uri)
    assert "were made by model 'other'" in refusal(uri, model="other")
    assert "does not have 192 dimensions" in refusal(elsewhere(np.eye(3), folder="short"), model="random")
    assert "has no column image_embedding" in refusal(_without(uri, tmp_path), model="random")
    assert "not lists of numbers" in refusal(elsewhere(["a"], folder="words"), model="random")
    assert "column width holds string, not int32" in refusal(
        elsewhere(folder="width", width=["wide"] * IMAGES), model="random"
    )
    store.write(f"{tmp_path}/text/a.parquet", b"no Parquet")
    assert "cannot be read as Parquet" in refusal(f"{tmp_path}/text", model="random")
    (tmp_path / "empty").mkdir()
    assert "has no Parquet file" in refusal(f"{tmp_path}/empty", model="random")
    manifest = {"complete": False, "dimensions": DIMENSIONS, "model": {"name": "random"}, "parts": []}
    store.write(f"{uri}/{NAME}", json.dumps(manifest).encode())
    assert "is not complete" in refusal(uri)
    store.write(f"{uri}/{NAME}", json.dumps(manifest | {"complete": True, "dimensions": 3}).encode())
    assert "have 3 dimensions" in refusal(uri)
    store.write(f"{uri}/{NAME}", b"[]")
    assert "is not the manifest" in refusal(uri)
    assert rows(database_url, "SELECT count(*) FROM retrieval.image") == [(0,)]


def _without(uri, tmp_path):
    (tmp_path / "bare").mkdir()
    pq.write_table(pq.read_table(f"{uri}/part-0.parquet").drop_columns("image_embedding"), tmp_path / "bare/a.parquet")
    return f"{tmp_path}/bare"


def test_vectors_of_other_weights_are_refused(filled, collection, project, tmp_path, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.model SET digest = 'd1'")
    export_collection(collection, str(tmp_path / "out"), project)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.model SET digest = 'd2'")
    with pytest.raises(UserError, match=r"made with other files of model 'random' \(digest d1…\) than .* \(d2…\)"):
        import_collection(collection, str(tmp_path / "out"), project)


def test_the_readers_that_people_use_find_what_the_view_shows(filled, report, tmp_path, database_url):
    uri = str(tmp_path / "out")
    manifest = report("export", "things", uri)
    assert (manifest["complete"], manifest["rows"], manifest["dimensions"]) == (True, IMAGES, DIMENSIONS)
    shown = rows(database_url, VIEW)
    view = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'images' AND table_name = 'things'"
    assert {name.replace("image_embedding", "embedding") for name in COLUMNS.names} | {"words"} == {
        name for (name,) in rows(database_url, view)
    }
    by_arrow = table(uri)
    assert by_arrow.schema.equals(COLUMNS) or by_arrow.schema.names == COLUMNS.names
    frame = pd.read_parquet(uri).sort_values("image_id")
    duck = duckdb.sql(f"SELECT * FROM '{uri}/*.parquet' ORDER BY image_id").fetchall()
    assert [row[:2] for row in duck] == [row[:2] for row in shown]
    for number, (_, path, vector, width, sha256, phash) in enumerate(shown):
        exact = json.loads(vector)
        assert by_arrow["image_embedding"][number].as_py() == pytest.approx(exact, rel=1e-5)
        assert list(frame["image_embedding"].iloc[number]) == by_arrow["image_embedding"][number].as_py()
        assert duck[number][COLUMNS.get_field_index("image_embedding")] == by_arrow["image_embedding"][number].as_py()
        assert (frame["image_path"].iloc[number], frame["width"].iloc[number]) == (path, width)
        assert (frame["sha256"].iloc[number], frame["phash"].iloc[number]) == (sha256, phash)


def test_captions_of_models_are_exported_as_the_view_shows_them(filled, collection, project, tmp_path, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.image SET caption = 'by hand' WHERE image_id = '1'")
        connection.execute("INSERT INTO retrieval.shown_captions VALUES ('things', 'writer', '{en,zh}')")
        for language, text in (("en", "a ring"), ("zh", "一个圆环")):
            connection.execute(
                "INSERT INTO retrieval.caption (image, model, language, etag, digest, text) "
                "SELECT id, 'writer', %s, etag, '', %s FROM retrieval.image WHERE image_id IN ('0', '1')",
                [language, text],
            )
    export_collection(collection, str(tmp_path / "out"), project)
    shown = rows(database_url, "SELECT caption, captions FROM images.things ORDER BY image_id")
    found = table(tmp_path / "out").select(["caption", "captions"]).to_pylist()
    assert [(row["caption"], json.loads(row["captions"] or "null")) for row in found] == shown
    assert shown[:3] == [
        ("a ring", {"en": "a ring", "zh": "一个圆环"}),
        ("by hand", {"en": "a ring", "zh": "一个圆环"}),
        (None, None),
    ]


def test_an_export_that_broke_off_goes_on_where_it_was(filled, collection, project, tmp_path):
    expected = export_collection(collection, str(tmp_path / "whole"), project, rows_per_part=3)
    assert [part["rows"] for part in expected["parts"]] == [3, 3, 1]
    done = []

    def stop(count):
        done.append(count)
        if len(done) == 2:
            raise KeyboardInterrupt

    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        export_collection(collection, str(broken), project, rows_per_part=3, progress=stop)
    assert sorted(path.name for path in broken.iterdir()) == [NAME, "part-00000.parquet"]
    written = (broken / "part-00000.parquet").stat().st_mtime_ns
    found = export_collection(collection, str(broken), project)
    assert (broken / "part-00000.parquet").stat().st_mtime_ns == written
    assert found | {"exported_at": ""} == expected | {"exported_at": ""}
    assert table(broken).equals(table(tmp_path / "whole"))
    assert export_collection(collection, str(broken), project) == found


def test_an_export_goes_nowhere_else(filled, collection, project, store, tmp_path, database_url):
    store.write(f"{tmp_path}/full/note.txt", b"mine")
    with pytest.raises(UserError, match="is not empty and has no manifest"):
        export_collection(collection, f"{tmp_path}/full", project)
    export_collection(collection, f"{tmp_path}/out", project)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.model SET digest = 'other'")
    with pytest.raises(UserError, match="of another collection or model"):
        export_collection(collection, f"{tmp_path}/out", project)


def test_a_collection_without_vectors_is_told(collection, project, tmp_path):
    with pytest.raises(UserError, match="has no vectors yet"):
        export_collection(collection, str(tmp_path / "out"), project)


NUMBERS = st.floats(-1000, 1000, width=32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=6, deadline=None)
@given(st.lists(st.lists(NUMBERS, min_size=4, max_size=4).filter(any), min_size=1, max_size=IMAGES))
def test_what_is_exported_and_imported_is_the_same_to_the_bit(
    elsewhere, collection, project, store, database_url, vectors
):
    """By way of the object store; the vectors differ in their first components only."""
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE retrieval.image CASCADE")
    given = np.zeros((len(vectors), DIMENSIONS), np.float32)
    given[:, :4] = vectors
    import_collection(collection, elsewhere(given), project, model="random")
    uri = f"{project.work_uri}export"
    store.delete_under(f"{uri}/")
    assert export_collection(collection, uri, project)["rows"] == len(vectors)
    shown = rows(database_url, VIEW)
    units = given.astype(float) / np.linalg.norm(given.astype(float), axis=1, keepdims=True)
    assert np.array([json.loads(row[2]) for row in shown]) == pytest.approx(units, abs=1e-3)
    with psycopg.connect(database_url) as connection:
        connection.execute(f"TRUNCATE {VECTORS}")
    assert import_collection(collection, uri, project)["written"] == len(vectors)
    assert rows(database_url, VIEW) == shown
