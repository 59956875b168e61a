"""Data files of inventories are read as they were written, whatever the format."""

import io
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integration.inventories import FIELDS, FORMS

from image_retrieval.errors import UserError
from image_retrieval.image_inputs import dated_version
from image_retrieval.sources import inventory_files
from image_retrieval.sources.inventory_files import READERS

VERSIONED = (*FIELDS, "IsLatest", "IsDeleteMarker")
keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
times = st.datetimes(datetime(2006, 3, 14), datetime(2100, 1, 1)).map(
    lambda told: told.replace(microsecond=0, tzinfo=UTC)
)
rows = st.fixed_dictionaries(
    {
        "Bucket": st.just("photos"),
        "Key": keys,
        "Size": st.integers(0, 2**45),
        "LastModifiedDate": times,
        "ETag": st.from_regex(r"[0-9a-f]{32}(-[1-9])?", fullmatch=True),
        "IsLatest": st.booleans(),
        "IsDeleteMarker": st.booleans(),
    }
)


def read(form, data, fields=FIELDS):
    with TemporaryDirectory() as folder:
        path = Path(folder, "data")
        path.write_bytes(data)
        pages = READERS[form.lower()](path, fields, "s3://inventories/data", "s3://photos/")
        return [entry for page in pages for entry in page]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(written=st.lists(rows, max_size=8), batch=st.integers(1, 4), fields=st.permutations(VERSIONED))
def test_latest_versions_are_read_as_they_were_written(form, written, batch, fields):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory_files, "BATCH", batch)
        found = read(form, FORMS[form](written, tuple(fields)), tuple(fields))
    assert [(entry.uri, entry.key, entry.size, entry.last_modified, entry.etag) for entry in found] == [
        (f"s3://photos/{row['Key']}", row["Key"], row["Size"], row["LastModifiedDate"], row["ETag"])
        for row in written
        if row["IsLatest"] and not row["IsDeleteMarker"]
    ]


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200), form=st.sampled_from(sorted(FORMS)))
def test_any_bytes_are_objects_or_one_error(data, form):
    with suppress(UserError):
        read(form, data)


@pytest.mark.parametrize("form", FORMS)
def test_without_an_etag_the_time_and_the_size_are_the_version(form):
    when = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
    row = {"Bucket": "photos", "Key": "a.jpg", "Size": 7, "LastModifiedDate": when}
    fields = ("Bucket", "Key", "LastModifiedDate", "Size")
    [found] = read(form, FORMS[form]([row], fields), fields)
    assert found.etag == dated_version(when, 7) == "modified:2026-11-26T01:02:03Z/7"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("fields", "missing"), [(("Bucket", "Size", "ETag"), "Key"), (("Bucket", "Key", "Size"), "ETag")]
)
def test_a_missing_field_is_told_with_what_to_do(form, fields, missing):
    row = {"Bucket": "photos", "Key": "a.jpg", "Size": 7, "ETag": "e"}
    with pytest.raises(UserError, match=f"has no field {missing}: add ETag"):
        read(form, FORMS[form]([row], fields), fields)


def test_csv_as_other_stores_write_it():
    plain = b'photos,a%20b%2Bc+d.jpg,7,2026-11-26T01-02-03Z,"""AB12"""\n'
    [found] = read("csv", plain)
    assert (found.key, found.etag) == ("a b+c d.jpg", "AB12")
    assert found.last_modified == datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)


def test_a_large_file_is_read_in_blocks(monkeypatch):
    monkeypatch.setattr(inventory_files, "BLOCK", 2**14)
    lines = io.BytesIO()
    for number in range(20_000):
        lines.write(b"photos,%09d.jpg,7,2026-11-26T01:02:03.000Z,e\n" % number)
    assert [entry.key for entry in read("csv", lines.getvalue())] == [f"{number:09}.jpg" for number in range(20_000)]
