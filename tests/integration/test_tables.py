"""Collections whose source is a table in a bucket: of URIs, or of the images themselves."""

import pyarrow as pa
import pytest

from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.registering import Picture, delete_image, register_image
from image_retrieval.pipeline.resampling import resample_shard
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.table_images import smaller_or_original, stored_original
from image_retrieval.shards import Shard, reading
from image_retrieval.store.connection import connect
from integration.pictures import BAD, SCENES, put
from integration.tables import rows, versions
from integration.written_tables import WRITERS

FEW = dict(list(SCENES.items())[:6])
OTHER = list(SCENES.values())[6]
SHOWN = "SELECT image_id, image_path, caption, attributes FROM images.things ORDER BY image_id"
REJECTED = "SELECT uri, stage, reason, detail FROM retrieval.rejected ORDER BY uri"


def only(quick, forms=WRITERS):
    """The formats; those that are not `quick` count as slow, since the unit tests read each of them."""
    return [form if form in quick else pytest.param(form, marks=pytest.mark.slow) for form in forms]


@pytest.fixture
def source(tmp_path):
    return f"s3://images/tables/{tmp_path.name}/"


@pytest.fixture
def write(store, source):
    """Write the rows of a table."""

    def write(form, **columns):
        WRITERS[form](source, pa.table(columns), store)

    return write


@pytest.fixture
def changed(change_collection, source):
    def changed(form, **options):
        return change_collection(
            **{"source": source, "format": form, "id_pattern": None, "deletion_limit": 1.0} | options
        )

    return changed


@pytest.fixture
def run(project, changed):
    number = iter(range(100))

    def run(form, **options):
        return run_collection(changed(form, **options), f"run {next(number)}", project)

    return run


@pytest.mark.parametrize("form", only(["parquet"]))
def test_a_table_of_uris_lists_what_it_says(form, run, write, store, collection, database_url):
    put(store, collection.source, FEW)
    uris = [collection.source + key for key in FEW]
    about = [{"n": number} for number in range(6)]
    write(form, uri=uris, id=list("abcdef"), attributes=about)
    report = run(form)
    assert (report["state"], report["listed"], report["embedded"]) == ("success", 6, 6)
    shown = [(id, uri, None, told) for id, uri, told in zip("abcdef", uris, about, strict=True)]
    assert rows(database_url, SHOWN) == shown
    before = versions(database_url)
    assert run(form)["shards"] == 0
    assert versions(database_url) == before
    write(form, uri=uris[1:], id=list("bcdef"), attributes=[{"n": 7}, *about[2:]])
    report = run(form)
    assert (report["new"], report["changed"], report["gone"]) == (0, 0, 1)
    assert rows(database_url, SHOWN) == [("b", uris[1], None, {"n": 7}), *shown[2:]]


@pytest.mark.parametrize("form", only(["delta", "iceberg"]))
def test_images_of_a_table_are_embedded_at_the_version_that_was_listed(form, run, write, source, database_url):
    pictures = [*FEW.values(), BAD["bad/text.png"][0], None]
    ids = [f"thing {number}" for number in range(8)]
    data = pa.array(pictures, pa.binary())
    write(form, id=ids, picture=data, caption=ids)
    columns = {"image": "picture"}
    report = run(form, columns=columns, shard_size=4)
    assert (report["state"], report["listed"], report["embedded"], report["rejected"]) == ("success", 8, 6, 2)
    assert [row[:3] for row in rows(database_url, SHOWN)] == [(id, f"{source}#id={id}", id) for id in ids[:6]]
    assert [(uri.removeprefix(source), stage, reason) for uri, stage, reason, _ in rows(database_url, REJECTED)] == [
        ("#id=thing 6", "resample", "unsupported_format"),
        ("#line=8", "list", "invalid_line"),
    ]
    assert rows(
        database_url, "SELECT DISTINCT size = length(%s) FROM retrieval.image WHERE image_id = %s", pictures[2], ids[2]
    ) == [(True,)]
    before = versions(database_url)
    assert run(form, columns=columns)["shards"] == 0
    assert versions(database_url) == before
    write(form, id=ids[1:7], picture=pa.array([OTHER, *pictures[2:6], OTHER], pa.binary()), caption=ids[1:7])
    report = run(form, columns=columns)
    assert (report["new"] + report["changed"], report["gone"], report["embedded"]) == (2, 1, 2)
    assert rows(database_url, REJECTED) == []


@pytest.mark.parametrize("form", only(["delta"], ["delta", "iceberg"]))
def test_a_run_reads_the_version_that_it_listed(form, changed, write, project, store):
    write(form, id=["a"], picture=pa.array([OTHER], pa.binary()))
    collection = changed(form, columns={"image": "picture"})
    plan = list_images(collection, "pinned", project)
    assert plan.shards == 1
    write(form, id=["b"], picture=pa.array([b"no picture"], pa.binary()))
    resample_shard(collection, "pinned", 0, project)
    with reading(store, Shard("things", "pinned", 0).files(project.work_uri).resampled) as packed:
        [row] = packed.read(["image_id", "reason", "size"]).to_pylist()
    assert row == {"image_id": "a", "reason": None, "size": len(OTHER)}


@pytest.mark.parametrize("form", WRITERS)
def test_a_table_that_is_not_there_is_told_in_one_line(form, run, source):
    with pytest.raises(UserError, match=source) as told:
        run(form)
    assert "\n" not in str(told.value)


def test_an_original_in_a_table_is_read_again_and_cannot_be_deleted(run, changed, write, source, store, project):
    write("parquet", id=["a", "b"], picture=pa.array([OTHER, next(iter(FEW.values()))], pa.binary()))
    run("parquet", columns={"image": "picture"})
    assert stored_original(store, f"{source}#id=a", project) == OTHER
    with pytest.raises(ImageRejected, match="is not in the table any more"):
        stored_original(store, f"{source}#id=c", project)
    assert smaller_or_original(f"{source}#id=a", "s3://kept/a.png") == "s3://kept/a.png"
    assert smaller_or_original("s3://photos/a.jpg", "s3://kept/a.png") == "s3://photos/a.jpg"
    collection = changed("parquet", columns={"image": "picture"})
    with connect(project) as connection:
        with pytest.raises(UserError, match="lists: change them there"):
            delete_image(connection, collection, "a", project, store)
        picture = Picture(OTHER, None, None, [], "")
        with pytest.raises(UserError, match="lists: change them there"):
            register_image(connection, collection, "c", picture, (None, None), project)
