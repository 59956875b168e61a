"""TFRecord files, as the documents of their format and protobuf's own reader have them."""

import io
import struct
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st
from packs import write_pictures
from PIL import Image

from image_retrieval.objects import ObjectStore
from image_retrieval.settings import load_settings
from image_retrieval.training.packs import INDEX
from image_retrieval.training.photolike import draw_clouds
from image_retrieval.training.tfrecords import crc32c, example, framed, masked, write_tfrecords

RFC_3720 = [(bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E), (b"", 0)]


@cache
def example_type():
    """tensorflow/core/example/example.proto, without lists of floats."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(name, *fields, into=None):
        made = (into or file).message_type.add() if into is None else into.nested_type.add()
        made.name = name
        for number, field, kind, repeated, type_name in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            made.field.add(name=field, number=number, label=label, type=kind, type_name=type_name)
        return made

    message("BytesList", (1, "value", kinds.TYPE_BYTES, True, None))
    message("Int64List", (1, "value", kinds.TYPE_INT64, True, None))
    message(
        "Feature",
        (1, "bytes_list", kinds.TYPE_MESSAGE, False, ".BytesList"),
        (3, "int64_list", kinds.TYPE_MESSAGE, False, ".Int64List"),
    )
    features = message("Features", (1, "feature", kinds.TYPE_MESSAGE, True, ".Features.FeatureEntry"))
    entry = message(
        "FeatureEntry",
        (1, "key", kinds.TYPE_STRING, False, None),
        (2, "value", kinds.TYPE_MESSAGE, False, ".Feature"),
        into=features,
    )
    entry.options.map_entry = True
    message("Example", (1, "features", kinds.TYPE_MESSAGE, False, ".Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Example"))


def read(data: bytes) -> dict[str, bytes | int]:
    found = example_type().FromString(data).features.feature
    return {name: [*each.bytes_list.value, *each.int64_list.value][0] for name, each in found.items()}


def unframed(content: bytes) -> list[bytes]:
    stream, records = io.BytesIO(content), []
    while head := stream.read(8):
        (length,), (of_length,) = struct.unpack("<Q", head), struct.unpack("<I", stream.read(4))
        records.append(stream.read(length))
        (of_record,) = struct.unpack("<I", stream.read(4))
        assert [of_length, of_record] == masked(crc32c([head, records[-1]]))
    return records


@pytest.mark.parametrize(("content", "check"), RFC_3720)
def test_checks_are_those_of_the_rfc(content, check):
    assert crc32c([content, b"another one"])[0] == check


def plain(content: bytes) -> int:
    check = 0xFFFFFFFF
    for byte in content:
        check ^= byte
        for _ in range(8):
            check = check >> 1 ^ 0x82F63B78 * (check & 1)
    return check ^ 0xFFFFFFFF


@given(st.lists(st.binary(max_size=50), max_size=9))
def test_checks_of_many_are_those_of_each(contents):
    assert crc32c(contents).tolist() == [plain(content) for content in contents]


NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.binary(max_size=300) | NAMES | st.integers(0, 2**63 - 1) | st.booleans()


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_protobuf_reads_what_is_written(features):
    wanted = {name: value.encode() if isinstance(value, str) else value for name, value in features.items()}
    assert read(example(features)) == wanted


@given(st.lists(st.binary(max_size=50), max_size=9))
def test_records_come_back_from_their_frames(records):
    assert unframed(b"".join(framed(records))) == records


def test_a_pack_is_exported_once(tmp_path):
    pictures = list(draw_clouds(12, 0)[:, :20, :30])
    folder = write_pictures(tmp_path / "pack", pictures, held_out=2)
    store = ObjectStore(load_settings())
    assert write_tfrecords(store, folder) == 1
    file = tmp_path / "pack" / "00000.tfrecord"
    found = [read(record) for record in unframed(file.read_bytes())]
    rows = pq.read_table(tmp_path / "pack" / INDEX).to_pylist()
    assert [each["image_id"].decode() for each in found] == [row["image_id"] for row in rows]
    assert [each["held_out"] for each in found] == [0] * 10 + [1, 1]
    for each, pixels in zip(found, pictures, strict=True):
        with Image.open(io.BytesIO(each["image/encoded"])) as image:
            assert np.abs(np.asarray(image, np.int16) - pixels).mean() < 6
            assert image.size == (each["image/width"], each["image/height"])
        assert "caption" not in each
    before = file.stat()
    assert write_tfrecords(store, folder) == 1
    assert file.stat() == before
