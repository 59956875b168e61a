from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import (
    MANIFEST,
    Shard,
    ShardFiles,
    collection_folder,
    embeddings_schema,
    reading,
    resampled_schema,
    run_folder,
    seconds_spent,
    writing,
)

ROW = {
    "id": 1,
    "image_id": "a",
    "uri": "s3://images/a.jpg",
    "etag": "e",
    "size": 9,
    "last_modified": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
}


@pytest.fixture
def files() -> ObjectStore:
    return ObjectStore(Settings())


def paths(found: ShardFiles) -> tuple[str, str, str]:
    return found.manifest, found.resampled, found.embeddings


@pytest.mark.parametrize("work_uri", ["s3://work", "s3://work/"])
def test_each_run_has_a_folder_under_its_collection(work_uri):
    assert collection_folder(work_uri, "demo") == "s3://work/work/demo/"
    assert run_folder(work_uri, "demo", "first") == "s3://work/work/demo/first/"


def test_a_run_of_airflow_has_a_plain_folder():
    folder = run_folder("s3://work/", "demo", "scheduled__2026-01-02T03:04:05+00:00")
    assert folder == "s3://work/work/demo/scheduled__2026-01-02T03_04_05_00_00-19543943/"


def test_runs_in_any_script_have_folders_of_their_own():
    assert len({run_folder("s3://work/", "demo", run_id) for run_id in ("第一批", "第二批", "___")}) == 3


@given(st.text(min_size=1))
@example(".")
@example("..")
@example("../../other")
def test_no_run_leaves_its_collection(run_id):
    folder = run_folder("s3://work/", "demo", run_id)
    name = folder.removeprefix("s3://work/work/demo/").removesuffix("/")
    assert folder == f"s3://work/work/demo/{name}/"
    assert name not in ("", ".", "..")
    assert name.isascii()
    assert not set(name) & set("/\\:?*%#& ")


def test_the_files_of_a_shard_are_told_by_stage_and_number():
    assert Shard("demo", "r", 7).files("s3://work/") == ShardFiles(
        manifest="s3://work/work/demo/r/shards/00007.parquet",
        resampled="s3://work/work/demo/r/resampled/00007.parquet",
        embeddings="s3://work/work/demo/r/embeddings/00007.parquet",
        captions="s3://work/work/demo/r/captions/00007.parquet",
    )


@given(st.sets(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["r1", "r2"]), st.integers(0, 200_000))))
def test_no_two_shards_share_a_file(shards):
    found = [paths(Shard(*shard).files("s3://work/")) for shard in shards]
    assert len(set(chain.from_iterable(found))) == 3 * len(shards)


def test_what_was_written_is_read(files, tmp_path):
    uri = f"file://{tmp_path}/work/a.parquet"
    with writing(files, uri, MANIFEST, compression="zstd") as writer:
        writer.write_table(pa.Table.from_pylist([ROW], MANIFEST))
        writer.add_key_value_metadata({"seconds": "1.25"})
    with reading(files, uri) as file:
        assert file.read().to_pylist() == [ROW]
        assert seconds_spent(file) == 1.25


def test_nothing_is_there_until_the_block_ends(files, tmp_path):
    uri = f"file://{tmp_path}/a.parquet"
    with writing(files, uri, MANIFEST):
        assert not files.exists(uri)
    assert files.exists(uri)


def write_half(files: ObjectStore, uri: str) -> None:
    with writing(files, uri, MANIFEST) as writer:
        writer.write_table(pa.Table.from_pylist([ROW], MANIFEST))
        raise KeyError


def test_a_block_that_raises_leaves_nothing(files, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with pytest.raises(KeyError):
        write_half(files, f"file://{tmp_path}/work/a.parquet")
    assert list(tmp_path.rglob("*")) == [scratch]


def test_a_block_that_raises_leaves_the_file_that_was_there(files, tmp_path):
    uri = f"file://{tmp_path}/a.parquet"
    files.write(uri, b"before")
    with pytest.raises(KeyError):
        write_half(files, uri)
    assert files.read(uri) == b"before"


def test_a_missing_file_is_told(files, tmp_path):
    with (
        pytest.raises(UserError, match=r"missing\.parquet does not exist"),
        reading(files, str(Path(tmp_path, "missing.parquet"))),
    ):
        pass


def test_a_stage_that_did_not_say_took_no_time(files, tmp_path):
    uri = f"file://{tmp_path}/a.parquet"
    with writing(files, uri, MANIFEST):
        pass
    with reading(files, uri) as file:
        assert seconds_spent(file) == 0


def test_packed_pixels_follow_the_manifest_and_tell_their_size():
    schema = resampled_schema(width=4, height=3)
    assert schema.names[: len(MANIFEST)] == MANIFEST.names
    assert schema.field("pixels").type.byte_width == 4 * 3 * 3
    assert schema.metadata == {b"width": b"4", b"height": b"3"}


def test_vectors_have_the_length_of_the_model():
    assert embeddings_schema(192).field("embedding").type.list_size == 192
