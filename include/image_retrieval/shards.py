"""The files that the stages of a run pass on: Parquet files per shard, and their places."""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from image_retrieval.objects import ObjectStore

ROWS_PER_GROUP = 64  # of packed pixels: 9.6 MB at 224×224, so that a reader needs little memory
VECTORS_PER_GROUP = 4096  # of embeddings: 16 MB at 1,024 dimensions, a second's work for a fast GPU

# its metadata: the `width` and `height` of resampled pictures, the `digest` of the model if it is known, and where the
# `probes` of the model lie
MANIFEST = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("last_modified", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


# of a switch: images with a vector under the former model, each with its kept picture, if there is one
KEPT_MANIFEST = MANIFEST.append(pa.field("resampled_uri", pa.string()))


# in the work folder: files of runs, kept pictures, copies of objects that are being overwritten, and probes of models
RUNS_FOLDER, KEPT_FOLDER, FORMER_FOLDER, PROBES_FOLDER = "work", "resampled", "former", "probes"
CAPTIONS_RUN = "captions-"  # what the folders in `work` begin with that are no run's, but a part's of captioning
TRAININGS_FOLDER = "trainings"  # beside them: packed pictures and models, which stay as long as the training's row


@dataclass(slots=True)  # frozen ones take twice the time to make, and a listing makes millions
class ManifestRow:
    """An image of a shard, at the version that was listed; `resampled_uri`: the picture of it that a switch found."""

    id: int
    image_id: str
    uri: str
    etag: str
    size: int
    last_modified: datetime
    resampled_uri: str | None = None


@dataclass(slots=True)
class PackedRow(ManifestRow):
    """An image of a shard with its pixels, or with the reason why it has none: a row of `resampled_schema`."""

    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    mode: str | None = None
    phash: int | None = None
    captured_at: datetime | None = None
    colours: str | None = None
    sharpness: float | None = None
    complexity: float | None = None
    reason: str | None = None
    detail: str | None = None
    pixels: bytes | None = None


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The URIs of one shard's manifest, packed pixels, vectors and captions."""

    manifest: str
    resampled: str
    embeddings: str
    captions: str


def folder_in(work_uri: str, *parts: str) -> str:
    """A folder of the work folder, ending in `/`."""
    return "/".join((work_uri.rstrip("/"), *parts, ""))


def collection_folder(work_uri: str, collection: str) -> str:
    """The folder of all runs' files of a collection, ending in `/`."""
    return folder_in(work_uri, RUNS_FOLDER, collection)


def captions_work(work_uri: str, collection: str) -> str:
    """What the folders of all parts of a collection's captioning begin with."""
    return f"{collection_folder(work_uri, collection)}{CAPTIONS_RUN}"


def captions_run(run_id: str) -> str:
    """The name under which a run's captioning has its files, apart from those of its vectors."""
    return f"{run_id}__captions"


def caption_vectors_run(run_id: str) -> str:
    """The name under which a run has the files of its captions' vectors."""
    return f"{run_id}__caption_vectors"


def probes_folder(work_uri: str, collection: str) -> str:
    """The folder of the probes of a collection's models, ending in `/`."""
    return folder_in(work_uri, PROBES_FOLDER, collection)


def probes_uri(work_uri: str, collection: str, model: str) -> str:
    """The file of the probes of a collection's model."""
    return f"{probes_folder(work_uri, collection)}{model}.parquet"


def run_folder(work_uri: str, collection: str, run_id: str) -> str:
    """The folder of one run's files, ending in `/`."""
    name = re.sub(r"^\.+|[^A-Za-z0-9._-]", "_", run_id)
    if name != run_id:  # a name in Chinese would consist of underscores alone
        name += f"-{hashlib.sha256(run_id.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return f"{collection_folder(work_uri, collection)}{name}/"


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a run of a collection, by its number from 0."""

    collection: str
    run_id: str
    number: int

    def files(self, work_uri: str) -> ShardFiles:
        """Its files in the work folder."""
        folder = run_folder(work_uri, self.collection, self.run_id)
        stages = ("shards", "resampled", "embeddings", "captions")
        return ShardFiles(*(f"{folder}{stage}/{self.number:05}.parquet" for stage in stages))


def resampled_schema(width: int, height: int) -> pa.Schema:
    """Packed pixels: one row per image of the manifest, with 8-bit RGB pixels or with a reason, never both.

    `mode` is the colour model of the original as Pillow names it, `phash` its 64-bit perceptual hash in two's
    complement, `captured_at` the time of the camera's clock, without a zone; `colours`, `sharpness` and `complexity`
    are those of imaging/looks.py. The file's metadata is the manifest's plus the names of collection, run and shard.
    """
    return pa.schema(
        [
            *MANIFEST,
            pa.field("sha256", pa.string()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("format", pa.string()),
            pa.field("mode", pa.string()),
            pa.field("phash", pa.int64()),
            pa.field("captured_at", pa.timestamp("us")),
            pa.field("colours", pa.string()),
            pa.field("sharpness", pa.float32()),
            pa.field("complexity", pa.float32()),
            pa.field("resampled_uri", pa.string()),
            pa.field("reason", pa.string()),
            pa.field("detail", pa.string()),
            pa.field("pixels", pa.binary(width * height * 3)),
        ],
        metadata={"width": str(width), "height": str(height)},
    )


def embeddings_schema(dimensions: int) -> pa.Schema:
    """Vectors of length 1, one row per image that had pixels; a reason instead if the model made none.

    The file's metadata has the `digest` of the model that made them.
    """
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("embedding", pa.list_(pa.float32(), dimensions)),
            pa.field("reason", pa.string()),
            pa.field("detail", pa.string()),
        ]
    )


# captions, one row per language of each image that had pixels; a reason instead if there is none. The file's metadata
# has the `digest` of the captioner.
CAPTIONS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)


# captions to embed; `digest` is the MD5 of the caption that the view shows. The file's metadata has the `digest` of the
# text_model, and where its `probes` lie.
TEXTS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
    ]
)


def table_of(rows: Sequence[object], layout: pa.Schema) -> pa.Table:
    """Records as a table: each column is a field of theirs."""
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in layout]
    return pa.Table.from_arrays(columns, schema=layout)


@contextmanager
def writing(store: ObjectStore, uri: str, schema: pa.Schema, **options: object) -> Iterator[pq.ParquetWriter]:
    """A Parquet writer whose file appears at the URI, complete, when the block ends without an error."""
    with tempfile.TemporaryDirectory(prefix="image-retrieval-") as folder:
        path = Path(folder, "shard.parquet")
        with pq.ParquetWriter(path, schema, **options) as writer:
            yield writer
        store.upload(path, uri)


@contextmanager
def reading(store: ObjectStore, uri: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file at a URI, fetched only as far as it is read. Raises UserError if it does not exist."""
    with store.open(uri) as stream, pq.ParquetFile(stream) as file:
        yield file


def facts_of(file: pq.ParquetFile) -> dict[str, str]:
    """A file's metadata."""
    return {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items()}


def seconds_spent(file: pq.ParquetFile) -> float:
    """The time, in seconds, that the stage worked on this file."""
    return float(facts_of(file).get("seconds", "0"))
