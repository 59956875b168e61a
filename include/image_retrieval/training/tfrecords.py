"""Exports a packed set as TFRecord files, one beside each tar, of the same pictures in the same order.

A record is framed as in TensorFlow (tensorflow/core/lib/io/record_writer.h): length, its masked CRC-32C, data, the
masked CRC-32C of the data. The data is a `tf.train.Example` (tensorflow/core/example/example.proto).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from image_retrieval.objects import ObjectStore
from image_retrieval.training.packs import FACTS, read_index

SUFFIX = ".tfrecord"
POLYNOMIAL = 0x82F63B78  # of CRC-32C (RFC 3720, appendix B.4), with its bits reversed
MASK = 0xA282EAD8
INSIDE, NUMBER = 2, 0  # wire types of protocol buffers: of what has a length, and of a number
BYTES, NUMBERS = 1, 3  # fields of a Feature
Value = bytes | str | int


def write_tfrecords(store: ObjectStore, folder: str) -> int:
    """Write the files of a complete set whose folder ends in `/`; those that are there stay. Returns how many it has.

    Raises UserError if there is no complete set.
    """
    index = read_index(store, folder, ("shard", "offset", "size", *FACTS))
    files = 0
    for shard, rows in groupby(index.to_pylist(), key=lambda row: str(row["shard"])):
        files += 1
        uri = folder + shard.removesuffix(".tar") + SUFFIX
        if not store.exists(uri):
            store.write(uri, b"".join(framed([example(each) for each in _features(store, folder + shard, [*rows])])))
    return files


def _features(store: ObjectStore, tar: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Value]]:
    """What a record of each picture of a tar holds; what is not known is left out."""
    with store.open(tar) as stream:
        for row in rows:
            stream.seek(row["offset"])
            facts = {name: row[name] for name in FACTS if row[name] is not None}
            sides = {f"image/{name}": facts.pop(name) for name in ("width", "height")}
            yield {"image/encoded": stream.read(row["size"]), "image/format": "jpeg", **sides, **facts}


def example(features: Mapping[str, Value]) -> bytes:
    """A `tf.train.Example` with one value for each feature; numbers are 0 or more, True is 1."""
    pairs = (_field(1, _field(1, name.encode()) + _field(2, _feature(value))) for name, value in features.items())
    return _field(1, b"".join(pairs))


def _feature(value: Value) -> bytes:
    if isinstance(value, int):
        return _field(NUMBERS, bytes([1 << 3 | NUMBER]) + _varint(int(value)))
    return _field(BYTES, _field(1, value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | INSIDE]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def framed(records: Sequence[bytes]) -> Iterator[bytes]:
    """The parts of a TFRecord file."""
    lengths = [struct.pack("<Q", len(record)) for record in records]
    checks = zip(masked(crc32c(lengths)), masked(crc32c(records)), strict=True)
    for length, record, (of_length, of_record) in zip(lengths, records, checks, strict=True):
        yield from (length, struct.pack("<I", of_length), record, struct.pack("<I", of_record))


def masked(checks: NDArray[np.uint32]) -> list[int]:
    """CRCs as files keep them: turned by 15 bits, plus a number."""
    return [((check >> 15 | check << 17) + MASK) & 0xFFFFFFFF for check in checks.tolist()]


def crc32c(contents: Sequence[bytes]) -> NDArray[np.uint32]:
    """The CRC-32C of each of some byte strings; their bytes of one place are taken at once, which is far quicker."""
    order = sorted(range(len(contents)), key=lambda at: -len(contents[at]))
    lengths = np.array([len(contents[at]) for at in order])
    columns = np.zeros((max(map(len, contents), default=0), len(contents)), np.uint8)
    for column, at in enumerate(order):
        columns[: lengths[column], column] = np.frombuffer(contents[at], np.uint8)
    found = np.full(len(contents), 0xFFFFFFFF, np.uint32)
    going = len(contents)
    for place, values in enumerate(columns):
        while lengths[going - 1] <= place:
            going -= 1
        now = found[:going]
        now[:] = _TABLE[(now ^ values[:going]) & 0xFF] ^ (now >> 8)
    checks = np.empty_like(found)
    checks[order] = found ^ np.uint32(0xFFFFFFFF)
    return checks


def _table() -> NDArray[np.uint32]:
    """What each byte does to a CRC."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, values >> 1 ^ POLYNOMIAL, values >> 1).astype(np.uint32)
    return values


_TABLE = _table()
