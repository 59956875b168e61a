"""Tars are read as Python's own reader reads them, and what is damaged is told instead of being passed over."""

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integration.tar_files import FORMATS, samples_of, tar_of

from image_retrieval.objects import ranges
from image_retrieval.objects.ranges import HeaderReader
from image_retrieval.sources.tar_headers import BLOCK, Entry, TarDamaged, read_entries
from image_retrieval.sources.tar_samples import read_samples

parts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=60)
names = st.lists(parts.filter(lambda part: part.strip(".")), min_size=1, max_size=5).map("/".join)
files = st.dictionaries(names, st.binary(max_size=1500), min_size=1, max_size=6)


def read(data: bytes) -> list[Entry]:
    return list(read_entries(io.BytesIO(data), len(data)))


def as_python_reads(data: bytes) -> list[tuple[str, int, int]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return [(member.name, member.offset_data, member.size) for member in tar if member.isfile()]


def placed(entries: list[Entry]) -> list[tuple[str, int, int]]:
    return [(entry.name, entry.offset, entry.size) for entry in entries if entry.fault is None]


@settings(max_examples=60, deadline=None)
@given(written=files, form=st.sampled_from(sorted(FORMATS)))
def test_what_was_written_is_found_where_it_lies(written, form):
    try:
        data = tar_of(written, form)
    except ValueError:  # ustar holds short names alone
        return
    found = read(data)
    assert placed(found) == as_python_reads(data)
    assert {entry.name: data[entry.offset : entry.offset + entry.size] for entry in found} == written


@settings(max_examples=60, deadline=None)
@given(written=files, form=st.sampled_from(["gnu", "pax"]), cut=st.floats(0, 1))
def test_a_tar_that_is_cut_off_is_told_or_holds_all_files(written, form, cut):
    data = tar_of(written, form)
    data = data[: int(cut * len(data))]
    try:
        found = read(data)
    except TarDamaged:
        return
    assert {entry.name: data[entry.offset : entry.offset + entry.size] for entry in found} == written


@pytest.mark.parametrize("data", [tar_of({"a.jpg": b"a", "b.jpg": b"b"}, "gnu"), samples_of({"a": {"jpg": b"a"}})])
def test_the_zeros_at_the_end_tell_that_a_tar_is_whole(data):
    ends = [entry.offset + BLOCK for entry in read(data)]
    for end in ends:
        with pytest.raises(TarDamaged, match="ends without the zeros that end a tar"):
            read(data[:end])
    assert read(data[: ends[-1] + BLOCK]) == read(data)


@settings(max_examples=100, deadline=None)
@given(written=files, at=st.floats(0, 1), value=st.binary(min_size=1, max_size=BLOCK))
def test_any_bytes_are_entries_within_the_tar_or_one_error(written, at, value):
    data = bytearray(tar_of(written))
    place = int(at * len(data))
    data[place : place + len(value)] = value
    with suppress(TarDamaged):
        assert all(0 <= entry.offset <= entry.offset + entry.size <= len(data) for entry in read(bytes(data)))


def test_a_damaged_header_in_the_middle_is_told_where_python_ends_quietly():
    data = bytearray(tar_of({"a.jpg": b"a", "b.jpg": b"b", "c.jpg": b"c"}, "ustar"))
    data[2 * BLOCK + 3] ^= 1
    assert [name for name, _, _ in as_python_reads(bytes(data))] == ["a.jpg"]
    with pytest.raises(TarDamaged, match="no valid header at byte 1024"):
        read(bytes(data))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b" + b"\0" * 1022, "is compressed"),
        (b"no tar" * 200, "no valid header at byte 0"),
        (tar_of({"a.jpg": b"a" * 900})[:1000], "ends in the middle of 'a.jpg'"),
        (tar_of({"a" * 150: b"a"}, "gnu")[:1024], "belongs to another one"),
    ],
)
def test_what_is_no_whole_tar_is_told(data, told):
    with pytest.raises(TarDamaged, match=told):
        read(data)


def member(tar: tarfile.TarFile, name: str, **options: object) -> None:
    entry = tarfile.TarInfo(name)
    for key, value in options.items():
        setattr(entry, key, value)
    tar.addfile(entry)


def test_folders_and_devices_are_left_out_and_links_and_holes_are_told():
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member(tar, "folder", type=tarfile.DIRTYPE)
        member(tar, "pipe.jpg", type=tarfile.FIFOTYPE)
        member(tar, "./link.jpg", type=tarfile.SYMTYPE, linkname="a.jpg")
        member(tar, "holes.jpg", pax_headers={"GNU.sparse.major": "1"})
        member(tar, "/rooted.jpg")
    found = read(target.getvalue())
    assert [(entry.name, entry.fault is None) for entry in found] == [
        ("link.jpg", False),
        ("holes.jpg", False),
        ("rooted.jpg", True),
    ]


def test_a_size_of_more_than_eleven_digits_is_read_and_its_bytes_are_not():
    size = 2**40
    for form in ("gnu", "pax"):
        head = tarfile.TarInfo("large.jpg")
        head.size = size
        data = head.tobuf(FORMATS[form])
        read_at: list[int] = []

        def fetch(start, stop, data=data, read_at=read_at):
            read_at.append(start)
            return data[start:stop] + b"\0" * (stop - max(start, min(stop, len(data))))

        total = len(data) + size + 2 * BLOCK
        [entry] = read_entries(io.BufferedReader(HeaderReader(total, fetch), BLOCK), total)
        assert (entry.name, entry.offset, entry.size) == ("large.jpg", len(data), size)
        assert len(read_at) == 2


@settings(max_examples=40, deadline=None)
@given(data=st.binary(min_size=1, max_size=900), reads=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 300))))
def test_pieces_of_any_size_are_the_same_bytes(data, reads):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "SMALLEST", 16)
        patch.setattr(ranges, "LARGEST", 64)
        stream = io.BufferedReader(HeaderReader(len(data), lambda start, stop: data[start:stop]), 32)
        for at, length in reads:
            stream.seek(at)
            assert stream.read(length) == data[at : at + length]


def test_contents_are_passed_over_and_small_files_are_fetched_together():
    def fetched(sizes):
        head = [tarfile.TarInfo(f"{number}.jpg") for number in range(len(sizes))]
        for entry, size in zip(head, sizes, strict=True):
            entry.size = size
        data = b"".join(entry.tobuf() + b"\0" * (-(-entry.size // BLOCK) * BLOCK) for entry in head) + b"\0" * 1024
        spans = []

        def fetch(start, stop):
            spans.append(stop - start)
            return data[start:stop]

        found = list(read_entries(io.BufferedReader(HeaderReader(len(data), fetch), BLOCK), len(data)))
        assert [entry.size for entry in found] == sizes
        return len(spans), sum(spans) / len(data)

    requests, share = fetched([3 * 2**20] * 10)
    assert (requests, share < 0.02) == (11, True)
    requests, share = fetched([30_000] * 500)
    assert requests < 25


def test_what_web_dataset_writes_is_pictures_and_what_is_said_of_them():
    data = samples_of(
        {
            "a/0001": {
                "jpg": b"one",
                "json": {"caption": "of json", "attributes": {"n": 1}, "width": 7},
                "txt": "text",
            },
            "a/0002": {"left.jpg": b"two", "right.jpg": b"three", "txt": "a pair"},
            "a/0003": {"jpg": b"four", "cls": 3},
        }
    )
    found = read_samples(io.BytesIO(data), len(data))
    said = dict(zip(found.names, found.abouts, strict=True))
    assert said == {
        "a/0001.jpg": '{"caption": "of json", "attributes": {"n": 1}}',
        "a/0002.left.jpg": '{"caption": "a pair"}',
        "a/0002.right.jpg": '{"caption": "a pair"}',
        "a/0003.jpg": None,
        "a/0003.cls": None,
    }
    assert found.faults == []
    held = [data[at : at + size] for at, size in zip(found.offsets, found.sizes, strict=True)]
    assert dict(zip(found.names, held, strict=True))["a/0002.right.jpg"] == b"three"


def test_of_several_files_of_one_name_the_last_counts():
    first, second = tar_of({"a.jpg": b"old", "a.txt": b"old"}), tar_of({"./a.jpg": b"new!", "a.txt": b"new"})
    data = first[: 4 * BLOCK] + second
    found = read_samples(io.BytesIO(data), len(data))
    assert (found.names, found.sizes, found.abouts) == (["a.jpg"], [4], ['{"caption": "new"}'])


def test_faulty_descriptions_and_names_are_told_by_their_names():
    written = {"a.jpg": b"a", "a.json": b"[]", "b.txt": b"\xff", "c.txt": b" " * (2**20 + 1)}
    data = tar_of(written)
    found = read_samples(io.BytesIO(data), len(data))
    assert [(fault.name, str(fault.reason)) for fault in found.faults] == [
        ("b.txt", "invalid_line"),
        ("a.json", "invalid_line"),
        ("c.txt", "too_large"),
    ]
    assert found.names == ["a.jpg"]
