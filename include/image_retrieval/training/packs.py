"""The format of a packed training set: tar files of pictures with their facts, and one index of where each one lies.

The tar files are shards as WebDataset readers take them. With the index, any picture is one range read.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypedDict, cast

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore

PER_FILE = 1000  # pictures: a tar of 20 to 40 MB
INDEX = "index.parquet"
MANIFEST = "_manifest.json"
THUMBNAIL_SIDE = 8  # width and height, in pixels, of the pictures that tell near duplicates apart
FACTS = ("image_id", "uri", "etag", "sha256", "width", "height", "group_id", "caption", "held_out")  # in a JSON member

PACKED = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("group_id", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("held_out", pa.bool_(), nullable=False),
        pa.field("cluster", pa.int64(), nullable=False),
        pa.field("phash", pa.int64(), nullable=False),
        pa.field("thumbnail", pa.binary(THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3), nullable=False),
    ]
)


@dataclass(slots=True)
class Packed:
    """A packed picture: a row of the index.

    `offset` and `size` are those of its bytes, a JPEG, in the tar `shard`; `width` and `height` are its own, in pixels;
    `sha256` and `phash` are the original's. `cluster`: images that look alike, or are of one group, have one number.
    """

    shard: str
    offset: int
    size: int
    image_id: str
    uri: str
    etag: str
    sha256: str
    width: int
    height: int
    group_id: str | None
    caption: str | None
    held_out: bool
    cluster: int
    phash: int
    thumbnail: bytes


class PackManifest(TypedDict):
    """What a packed set is: how it was made, and once it is complete, what it holds and what was left out."""

    source: str
    longest_side: int
    held_out_share: float
    most: int | None
    seed: int
    complete: bool
    images: int
    held_out: int
    duplicates: int
    rejected: dict[str, int]


def tar_of(pictures: Sequence[tuple[Packed, bytes]], first: int) -> bytes:
    """A tar of pictures, each with its facts beside it, named by their numbers from `first` on; sets their places.

    The same pictures give the same bytes.
    """
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (picture, data) in enumerate(pictures, first):
            facts = json.dumps({name: getattr(picture, name) for name in FACTS}, ensure_ascii=False)
            for suffix, content in (("jpg", data), ("json", facts.encode("utf-8", "surrogatepass"))):
                member = tarfile.TarInfo(f"{number:09}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
                if suffix == "jpg":
                    picture.offset, picture.size = tar.offset - _padded(member.size), member.size
    return file.getvalue()


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def read_pack(store: ObjectStore, folder: str) -> PackManifest | None:
    """The manifest of a packed set, or None if there is none. Raises UserError if the file is not one."""
    uri = folder + MANIFEST
    if not store.exists(uri):
        return None
    try:
        found = json.loads(store.read(uri))
        if not PackManifest.__annotations__.keys() <= found.keys():
            raise ValueError
        return cast(PackManifest, found)
    except (ValueError, AttributeError):
        raise UserError(f"{uri} is not the manifest of a packed training set: choose another folder") from None


def write_pack(store: ObjectStore, folder: str, manifest: PackManifest) -> None:
    """Write the manifest, replacing an existing one."""
    store.write(folder + MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2).encode())


def read_index(store: ObjectStore, folder: str, columns: Sequence[str]) -> pa.Table:
    """Columns of the index of a packed set. Raises UserError if there is no complete set, or it lacks one of them."""
    manifest = read_pack(store, folder)
    if manifest is None or not manifest["complete"]:
        raise UserError(f"{folder} holds no complete training set: `image-retrieval training pack` writes one")
    try:
        with store.open(folder + INDEX) as stream, pq.ParquetFile(stream) as file:
            return file.read().select(list(columns))
    except (pa.ArrowException, KeyError) as error:
        raise UserError(f"{folder}{INDEX} cannot be read ({str(error)[:200]}): pack the set again") from None


def read_pictures(store: ObjectStore, folder: str, index: pa.Table, places: Sequence[int]) -> Iterator[Image.Image]:
    """The pictures at these places of the index, in their order; quickest where the places ascend.

    Raises UserError if the index and a tar file do not belong together.
    """
    rows = index.select(["shard", "offset", "size"]).take(pa.array(places, pa.int64())).to_pylist()
    for shard, of_shard in groupby(rows, key=lambda row: str(row["shard"])):
        with store.open(folder + shard) as tar:
            for row in of_shard:
                tar.seek(row["offset"])
                try:
                    with Image.open(io.BytesIO(tar.read(row["size"])), formats=["JPEG"]) as opened:
                        picture = opened.convert("RGB")
                except OSError:
                    raise UserError(f"{folder}{shard} has no picture at {row['offset']}: pack the set again") from None
                yield picture
