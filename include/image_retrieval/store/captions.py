"""Captions that models write, and which of them the views of a collection show."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from image_retrieval.shards import ManifestRow
from image_retrieval.store.connection import Connection
from image_retrieval.store.locks import keep_removals_out
from image_retrieval.store.rows import fetch_all, fetch_optional, fetch_value
from image_retrieval.store.sql import statement

SAMPLED = 30_000  # captions: half a second


@dataclass(frozen=True, slots=True)
class CaptionSpace:
    """The captions of a collection by one captioner: its name and digest, and the languages that are asked for."""

    collection: str
    model: str
    digest: str
    languages: list[str]


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption of the version `etag` of an image."""

    image: int
    etag: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class NoCaption:
    """Why a version of an image has no caption; `transient`: another try may succeed."""

    image: int
    etag: str
    language: str
    reason: str
    detail: str
    transient: bool


@dataclass(frozen=True, slots=True)
class ShownCaptions:
    """Whose captions the views of a collection show."""

    model: str
    languages: list[str]


def try_lock(connection: Connection, collection: str) -> bool:
    """Take the right to write a collection's captions until the transaction ends. Returns whether it was free."""
    return bool(fetch_value(connection, statement("captions", "try_lock"), {"collection": collection}))


def count_due(connection: Connection, space: CaptionSpace) -> int:
    """The number of images that lack a caption of their present version by this captioner."""
    return int(fetch_value(connection, statement("captions", "count_due"), asdict(space)))


def read_due(connection: Connection, space: CaptionSpace, after: int, count: int) -> list[ManifestRow]:
    """The first images that lack a caption, by their ids, beyond `after`."""
    asked = {**asdict(space), "after": after, "count": count}
    return fetch_all(connection, ManifestRow, statement("captions", "read_due"), asked)


def write_captions(
    connection: Connection, space: CaptionSpace, captions: Sequence[Caption], faults: Sequence[NoCaption], most: int
) -> int:
    """Store captions, and the reasons for those that are missing. Returns the number of new or changed captions.

    Images that were changed or removed meanwhile are left out. A transient fault is final after `most` attempts.
    """
    keep_removals_out(connection, space.collection)
    by = {"model": space.model, "digest": space.digest}
    given = by | {
        "images": [caption.image for caption in captions],
        "etags": [caption.etag for caption in captions],
        "languages": [caption.language for caption in captions],
        "texts": [caption.text for caption in captions],
    }
    written = connection.execute(statement("captions", "write_captions"), given).rowcount
    connection.execute(statement("captions", "forget_faults"), given)
    missing = by | {
        "most": most,
        "images": [fault.image for fault in faults],
        "etags": [fault.etag for fault in faults],
        "languages": [fault.language for fault in faults],
        "reasons": [fault.reason for fault in faults],
        "details": [fault.detail for fault in faults],
        "transients": [fault.transient for fault in faults],
    }
    connection.execute(statement("captions", "write_faults"), missing)
    connection.execute(statement("captions", "remove_outdated"), missing)
    return written


def find_shown(connection: Connection, collection: str) -> ShownCaptions | None:
    """Whose captions a collection shows; None: nobody's."""
    return fetch_optional(connection, ShownCaptions, statement("captions", "find_shown"), {"collection": collection})


def count_words(connection: Connection, collection: str) -> None:
    """Count how frequent the words of a collection's captions are, in a sample: hybrid searches weigh them by that."""
    connection.execute(statement("captions", "count_words"), {"collection": collection, "sampled": SAMPLED})


def show(connection: Connection, space: CaptionSpace) -> None:
    """Let the views of a collection show these captions."""
    connection.execute(statement("captions", "show"), asdict(space))
