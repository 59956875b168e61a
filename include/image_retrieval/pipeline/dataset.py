"""A collection as a data set: Parquet parts in one folder, and a manifest that describes them."""

import json
from datetime import UTC, datetime
from typing import NotRequired, TypedDict, cast

import pyarrow as pa

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore

NAME = "_manifest.json"  # readers of Parquet folders skip names that begin with _
COLUMNS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("image_path", pa.string(), nullable=False),
        pa.field("resampled_image_path", pa.string()),
        pa.field("image_embedding", pa.list_(pa.float32()), nullable=False),
        pa.field("group_id", pa.string()),
        pa.field("intra_id", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("format", pa.string()),
        pa.field("attributes", pa.string(), nullable=False),  # JSON
        pa.field("created_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("updated_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("captured_at", pa.timestamp("us")),
        pa.field("sha256", pa.string()),
        pa.field("phash", pa.int64()),
        pa.field("aspect", pa.float32()),
        pa.field("orientation", pa.string()),
        pa.field("colours", pa.list_(pa.string())),
        pa.field("sharpness", pa.float32()),
        pa.field("complexity", pa.float32()),
        pa.field("captions", pa.string()),  # JSON
    ]
)


class MadeBy(TypedDict):
    """The model that made the vectors; of a data set from elsewhere perhaps its name alone, or nothing."""

    name: NotRequired[str]
    revision: NotRequired[str | None]
    digest: NotRequired[str | None]


class Part(TypedDict):
    """A Parquet file of the folder, with the first and the last id that an export takes into it."""

    file: str
    first: NotRequired[int]
    last: NotRequired[int]
    rows: NotRequired[int]


class Manifest(TypedDict):
    """What a data set is; `rows` and `exported_at` once it is complete."""

    collection: NotRequired[str]
    model: MadeBy
    dimensions: int
    complete: bool
    parts: list[Part]
    rows: NotRequired[int]
    exported_at: NotRequired[str]


def folder_of(uri: str) -> str:
    """The folder of a data set, ending in `/`."""
    return uri.rstrip("/") + "/"


def read_manifest(store: ObjectStore, folder: str) -> Manifest | None:
    """A folder's manifest, or None if there is none. Raises UserError if the file is not a manifest."""
    uri = folder + NAME
    if not store.exists(uri):
        return None
    try:
        manifest = json.loads(store.read(uri))
        names = [str(part["file"]) for part in manifest["parts"]]
        if any("/" in name for name in names) or not isinstance(manifest["complete"], bool):
            raise ValueError
        read = {**manifest, "dimensions": int(manifest["dimensions"]), "model": {**manifest["model"]}}
        return cast(Manifest, read)
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{uri} is not the manifest of a data set: delete it, or choose another folder") from None


def write_manifest(store: ObjectStore, folder: str, manifest: Manifest) -> None:
    """Write the manifest, replacing an existing one."""
    store.write(folder + NAME, json.dumps(manifest, ensure_ascii=False, indent=2).encode())


def now() -> str:
    """The current time in UTC, in the manifest's format."""
    return datetime.now(UTC).isoformat(timespec="seconds")
