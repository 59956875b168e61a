import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.objects import (
    NameUnsupported,
    ObjectChanged,
    ObjectFault,
    ObjectMissing,
    ObjectStore,
    ObjectUnreadable,
    local_path,
    split_s3,
)
from image_retrieval.objects.local import file_etag
from image_retrieval.objects.ranges import RangeReader
from image_retrieval.settings import Settings


@pytest.fixture
def files() -> ObjectStore:
    return ObjectStore(Settings())


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """The URI of a folder with four files."""
    folder = tmp_path / "pictures"
    for key in ("b.jpg", "a.jpg", "2026/11/c.jpg", "2026/d é%20.jpg"):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key.encode())
    return f"file://{folder}/"


def keys(files: ObjectStore, prefix: str) -> list[str]:
    return [entry.key for page in files.pages(prefix) for entry in page]


@pytest.mark.parametrize(
    ("uri", "path"),
    [("file:///a/b c%20.jpg", Path("/a/b c%20.jpg")), ("a/b", Path("a/b")), ("s3://a/b", None)],
)
def test_only_files_have_a_path(uri, path):
    assert local_path(uri) == path


@pytest.mark.parametrize("uri", ["http://host/a", "hf://owner/name", "S3://bucket/a"])
def test_an_unknown_scheme_is_told_with_those_there_are(files, uri):
    with pytest.raises(UserError, match=r"use s3://, .*, file://"):
        files.read(uri)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [("s3://bucket/a/b.jpg", ("bucket", "a/b.jpg")), ("s3://bucket/", ("bucket", "")), ("s3://bucket", ("bucket", ""))],
)
def test_an_s3_uri_is_a_bucket_and_a_key(uri, parts):
    assert split_s3(uri) == parts


def test_every_file_under_a_folder_is_listed(files, filled):
    assert keys(files, filled) == ["a.jpg", "b.jpg", "2026/d é%20.jpg", "2026/11/c.jpg"]


def test_a_listing_tells_what_is_known_of_each_file(files, filled):
    entries = [entry for page in files.pages(filled) for entry in page]
    for entry in entries:
        assert entry.uri == filled + entry.key
        assert entry.size == len(entry.key.encode())
        assert entry.etag == file_etag(local_path(entry.uri))
        assert abs(datetime.now(UTC) - entry.last_modified) < timedelta(hours=1)


def test_a_part_of_a_folder_is_listed_with_keys_of_its_own(files, filled):
    assert keys(files, f"{filled}2026/") == ["d é%20.jpg", "11/c.jpg"]


def test_a_missing_folder_is_told(files, tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        list(files.pages(f"file://{tmp_path}/nowhere/"))


def test_a_link_to_nothing_is_not_listed(files, filled):
    (local_path(filled) / "0.jpg").symlink_to("gone.jpg")
    assert "0.jpg" not in keys(files, filled)
    assert "a.jpg" in keys(files, filled)


def test_what_is_listed_can_be_read(files, filled):
    for page in files.pages(filled):
        for entry in page:
            assert files.read(entry.uri, etag=entry.etag) == entry.key.encode()
            assert files.read(entry.uri) == entry.key.encode()


def fault(files: ObjectStore, uri: str, etag: str | None = None) -> type[Exception]:
    with pytest.raises(ObjectFault) as refused:
        files.read(uri, etag=etag)
    return refused.type


def test_a_file_that_was_written_again_is_told(files, filled):
    uri = f"{filled}a.jpg"
    etag = file_etag(local_path(uri))
    files.write(uri, b"another")
    assert fault(files, uri, etag) is ObjectChanged


def test_a_touched_file_has_another_etag(filled):
    path = local_path(f"{filled}a.jpg")
    etag = file_etag(path)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert file_etag(path) != etag


def test_a_missing_file_is_told(files, filled):
    assert fault(files, f"{filled}missing.jpg") is ObjectMissing


def test_a_folder_in_place_of_a_file_is_told(files, filled):
    assert fault(files, f"{filled}2026") is ObjectUnreadable


def test_a_file_is_written_with_its_folders(files, tmp_path):
    uri = f"file://{tmp_path}/new/folder/a.bin"
    assert not files.exists(uri)
    files.write(uri, b"data")
    assert files.exists(uri)
    assert files.read(uri) == b"data"


def test_who_reads_while_a_file_is_replaced_reads_the_old_one(files, filled):
    uri = f"{filled}a.jpg"
    with files.open(uri) as stream:
        files.write(uri, b"another")
        assert stream.read() == b"a.jpg"
    assert files.read(uri) == b"another"


def test_a_write_that_fails_leaves_nothing(files, filled):
    before = keys(files, filled)
    with pytest.raises(NameUnsupported, match="2026 cannot be written: a file or folder is in its way"):
        files.write(f"{filled}2026", b"a folder is there")
    assert keys(files, filled) == before


def test_an_upload_that_fails_leaves_what_was_there(files, filled, tmp_path):
    with pytest.raises(FileNotFoundError):
        files.upload(tmp_path / "missing", f"{filled}a.jpg")
    assert files.read(f"{filled}a.jpg") == b"a.jpg"


def test_an_upload_replaces_a_file(files, filled, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 9000)
    files.upload(source, f"{filled}a.jpg")
    assert files.read(f"{filled}a.jpg") == source.read_bytes()


def test_an_open_file_is_seekable(files, filled):
    with files.open(f"{filled}2026/11/c.jpg") as stream:
        assert stream.seek(-5, io.SEEK_END) == 8
        assert stream.read() == b"c.jpg"
        assert stream.seek(0) == 0
        assert stream.read(4) == b"2026"


def test_a_missing_file_does_not_open(files, filled):
    with pytest.raises(UserError, match=r"missing\.jpg does not exist"):
        files.open(f"{filled}missing.jpg")


def test_deleting_does_not_mind_what_is_missing(files, filled):
    files.delete([f"{filled}a.jpg", f"{filled}missing.jpg", f"{filled}2026/11/c.jpg"])
    assert keys(files, filled) == ["b.jpg", "2026/d é%20.jpg"]


def test_everything_under_a_prefix_is_deleted(files, filled):
    files.delete_under(f"{filled}2026/")
    assert keys(files, filled) == ["a.jpg", "b.jpg"]
    files.delete_under(f"{filled}2026/")


SEEKS = st.one_of(
    st.tuples(st.integers(0, 300), st.just(io.SEEK_SET)),
    st.tuples(st.integers(-300, 300), st.sampled_from([io.SEEK_CUR, io.SEEK_END])),
)
READS = st.integers(-1, 300)


@given(st.binary(max_size=200), st.lists(SEEKS | READS), st.integers(1, 64))
def test_ranges_read_as_the_whole_does(data, steps, buffer_size):
    def fetch(start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= len(data)
        return data[start:stop]

    whole, ranges = io.BytesIO(data), io.BufferedReader(RangeReader(len(data), fetch), buffer_size)
    for step in steps:
        if isinstance(step, tuple):
            assert ranges.seek(*step) == whole.seek(*step)
        else:
            assert ranges.read(step) == whole.read(step)
        assert ranges.tell() == whole.tell()


def test_only_the_ranges_that_are_read_are_fetched():
    fetched = []

    def fetch(start: int, stop: int) -> bytes:
        fetched.append((start, stop))
        return bytes(stop - start)

    with io.BufferedReader(RangeReader(1_000_000, fetch), 100) as stream:
        stream.seek(-8, io.SEEK_END)
        stream.read(8)
        stream.seek(500)
        stream.read(10)
    assert fetched == [(999_992, 1_000_000), (500, 600)]
