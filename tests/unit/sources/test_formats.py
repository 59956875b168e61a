"""Index files of each format are read as they were written, in batches, with the numbers of their lines."""

import io
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integration.index_files import WRITERS

from image_retrieval.errors import UserError
from image_retrieval.sources import formats
from image_retrieval.sources.formats import FIELDS, LONGEST_LINE, READERS, Columns, Lines

COLUMNS = Columns({name: name for name in FIELDS}, frozenset({"uri"}))
letters = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
uris = st.from_regex(r"s3://bucket/[a-z0-9/._ é?%\"',-]{1,20}[a-z]", fullmatch=True)
lines = st.fixed_dictionaries(
    {"uri": uris, "id": letters, "caption": letters, "attributes": st.dictionaries(letters, st.integers() | letters)}
)


def read(form: str, data: bytes, columns: Columns = COLUMNS) -> list[Lines]:
    return list(READERS[form](io.BytesIO(data), "s3://bucket/list." + form, columns))


def rows(batches: list[Lines]) -> list[tuple]:
    return [row for batch in batches for row in zip(batch.numbers, *batch.values.values(), strict=True)]


@pytest.mark.parametrize("form", WRITERS)
@settings(max_examples=30)
@given(written=st.lists(lines, min_size=1, max_size=8), batch=st.integers(1, 4))
def test_what_was_written_is_read_whatever_the_batch(form, written, batch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "BATCH", batch)
        found = read(form, WRITERS[form](written))
    numbers = [number for batch in found for number in batch.numbers]
    first = 2 if form == "csv" else 1
    assert numbers == list(range(first, first + len(written)))
    assert [uri for batch in found for uri in batch.values["uri"]] == [line["uri"] for line in written]
    assert not any(batch.faults for batch in found)
    if form != "txt":
        assert [text for batch in found for text in batch.values["caption"]] == [line["caption"] for line in written]


@settings(max_examples=100)
@given(data=st.binary(max_size=200), form=st.sampled_from(sorted(WRITERS)))
def test_any_bytes_are_lines_or_faults_or_one_error(data, form):
    with suppress(UserError):
        for batch in read(form, data):
            assert all(len(values) in (0, len(batch.numbers)) for values in batch.values.values())


@pytest.mark.parametrize("form", WRITERS)
def test_no_line_of_a_file_of_many_blocks_is_lost(form, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK", 2**14)
    written = [{"uri": f"s3://bucket/{number:09}.jpg"} for number in range(50_000)]
    found = read(form, WRITERS[form](written))
    assert [uri for batch in found for uri in batch.values["uri"]] == [line["uri"] for line in written]


def test_rows_of_csv_that_do_not_fit_are_told_with_their_numbers():
    data = b'uri,caption\ns3://b/1,"two\nlines"\ns3://b/2\n\ns3://b/4,x,y\ns3://b/5,\xff\n'
    found = read("csv", data)
    assert [(number, uri) for number, uri, *_ in rows(found)] == [(2, "s3://b/1"), (4, None), (6, "s3://b/5")]
    assert [fault for batch in found for fault in batch.faults] == [
        (3, "has 1 values, but there are 2 columns"),
        (5, "has 3 values, but there are 2 columns"),
    ]


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_do_not_count():
    assert rows(read("txt", b"\xef\xbb\xbfs3://b/1\r\n\r\n  s3://b/3 \n")) == [(1, "s3://b/1"), (3, "s3://b/3")]
    assert [row[1] for row in rows(read("csv", b"\xef\xbb\xbfuri\r\ns3://b/1\r\n"))] == ["s3://b/1"]


def test_a_line_without_an_end_is_one_fault_and_the_next_is_read():
    data = b"x" * (3 * LONGEST_LINE) + b"\ns3://b/2\n"
    [found] = read("txt", data)
    assert (found.numbers, found.values["uri"]) == ([2], ["s3://b/2"])
    assert found.faults == [(1, f"has more than {LONGEST_LINE} bytes")]
