"""What a line of an index file may say."""

import json
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_retrieval.allowed import refusal
from image_retrieval.collection import Collection
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.sources.descriptions import of_json, of_text
from image_retrieval.sources.members import attributes_text, read_members
from image_retrieval.strict_json import is_text

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def members(folder: Path, data: bytes, refusal=lambda uri: None):
    file = folder / "list.jsonl"
    file.write_bytes(data)
    collection = Collection(name="things", source=f"file://{file}", model={"name": "m", "source": "m"})
    return list(read_members(collection, ObjectStore(Settings()), refusal))


@settings(max_examples=100)
@given(
    written=st.lists(st.dictionaries(st.sampled_from(["id", "caption", "attributes", "group_id"]), values), max_size=5)
)
def test_each_line_is_a_row_that_the_tables_can_hold_or_a_fault(tmp_path_factory, written):
    folder = tmp_path_factory.mktemp("lines")
    data = "".join(json.dumps({"uri": "s3://bucket/a.jpg", **line}) + "\n" for line in written)
    found = members(folder, data.encode())
    rows = [row for batch in found for row in batch.rows]
    faults = [fault for batch in found for fault in batch.faulty]
    assert sorted([row.line for row in rows] + [fault.number for fault in faults]) == list(range(1, len(written) + 1))
    for row in rows:
        assert all(value is None or (value and is_text(value)) for value in row[1:])
        assert row.attributes is None or isinstance(json.loads(row.attributes), dict)
    assert all("\n" not in fault.detail for fault in faults)


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\u200b\u3000"])
def test_a_caption_without_a_visible_character_is_none(tmp_path, blank):
    [found] = members(tmp_path, json.dumps({"uri": "s3://bucket/a.jpg", "caption": blank}).encode())
    assert [row.caption for row in found.rows] == [None]
    assert of_text(blank.encode()) == of_json(json.dumps({"caption": blank}).encode()) == {}
    assert of_json(b'{"caption": " a "}') == {"caption": " a "}


@pytest.mark.parametrize("data", [b"{broken", b"", b'{"a": 1, "a": 2}', b"[" * 1000, b'{"caption": "\\ud800"}'])
def test_a_description_that_is_not_json_is_told_as_that(data):
    with pytest.raises(ValueError, match=r"^is not JSON: \S"):
        of_json(data)


@pytest.mark.parametrize(
    "uri",
    ["cat.jpg", "/srv/cat.jpg", "ftp://host/cat.jpg", "s3://bucket", "s3://bucket/", "s3://B/x", "file://host/x", ""],
)
def test_what_is_no_uri_of_an_object_is_told(tmp_path, uri):
    [found] = members(tmp_path, json.dumps({"uri": uri}).encode())
    assert (found.rows, len(found.faulty)) == ([], 1)
    assert "is no URI that can be read" in found.faulty[0].detail


def test_what_may_not_be_read_is_told_and_secrets_are_not(tmp_path):
    data = b'{"uri": "s3://bucket/a.jpg"}\n{"uri": "s3://other/b.jpg"}\n{"uri": "ftp://me:secret@host/?key=secret"}\n'
    [found] = members(tmp_path, data, lambda uri: None if "bucket" in uri else f"{quote(uri)} is not allowed")
    assert [row.key for row in found.rows] == ["a.jpg"]
    assert "is not allowed" in found.faulty[0].detail
    assert "secret" not in found.faulty[1].detail


@pytest.mark.parametrize("given", ["", " ", "{}", {}, "null"])
def test_empty_attributes_are_none(given):
    assert attributes_text(given) is None


@pytest.mark.parametrize("given", ["[]x", "[1]", '{"a": NaN}', '{"a": "\\u0000"}', '{"a": 1, "a": 2}', "{" * 99])
def test_attributes_that_the_database_cannot_hold_are_told(given):
    with pytest.raises(ValueError, match="attributes"):
        attributes_text(given)


def test_a_member_of_a_tar_is_allowed_as_its_tar_is_which_may_be_a_link(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "closed.tar").write_bytes(b"")
    (tmp_path / "open" / "link.tar").symlink_to(tmp_path / "closed.tar")
    settings = Settings(allowed_sources=(f"file://{tmp_path}/open/",))
    lines = [{"uri": f"file://{tmp_path}/open/{name}.tar#a.jpg"} for name in ("link", "own")]
    data = "".join(json.dumps(line) + "\n" for line in lines)
    [found] = members(tmp_path, data.encode(), partial(refusal, settings=settings))
    assert [fault.number for fault in found.faulty] == [1]
    assert "outside what this installation may read" in found.faulty[0].detail
    assert [row.key.rpartition("/")[2] for row in found.rows] == ["a.jpg"]
    assert found.rows[0].key.endswith("/own/a.jpg")
