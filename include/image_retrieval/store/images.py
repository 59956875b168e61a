"""Single images and pages of images, for the service."""

from collections.abc import Collection as Names
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypedDict, cast

from psycopg import sql
from psycopg.types.json import Jsonb

from image_retrieval.store.connection import Connection
from image_retrieval.store.loaders import ShownFacts, shown_facts
from image_retrieval.store.rows import Values, fetch_all, fetch_one, fetch_optional, fetch_value
from image_retrieval.store.sql import statement


class ImageFacts(ShownFacts):
    """An image as `images.<collection>` shows it."""

    image_id: str
    image_path: str
    resampled_image_path: str | None
    group_id: str | None
    intra_id: str | None
    width: int | None
    height: int | None
    format: str | None
    created_at: datetime
    updated_at: datetime
    captured_at: datetime | None
    sha256: str | None
    aspect: float | None
    orientation: str | None
    colours: list[str] | None
    sharpness: float | None
    complexity: float | None
    captions: dict[str, str] | None


class Member(TypedDict):
    """An image of a group."""

    image_id: str
    image_path: str
    group_id: str | None
    intra_id: str | None


class SameBytes(TypedDict):
    """Images that are the same file."""

    sha256: str
    image_ids: list[str]


@dataclass(frozen=True, slots=True)
class Description:
    """What people say of an image."""

    group_id: str | None
    intra_id: str | None
    caption: str | None
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImageObject:
    """The URI of an image, and whether the image was deleted."""

    uri: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class ListedObject:
    """The object of a searchable image, and its version that was embedded: what a listing told of it."""

    uri: str
    etag: str | None
    size: int | None
    resampled_uri: str | None


@dataclass(frozen=True, slots=True)
class ChosenImage:
    """A searchable image as a file shows it: the view's columns without `words`, attributes and captions in JSON."""

    image_id: str
    image_path: str
    resampled_image_path: str | None
    image_embedding: list[float] | None
    group_id: str | None
    intra_id: str | None
    caption: str | None
    width: int | None
    height: int | None
    format: str | None
    attributes: str
    created_at: datetime
    updated_at: datetime
    captured_at: datetime | None
    sha256: str | None
    phash: int | None
    aspect: float | None
    orientation: str | None
    colours: list[str] | None
    sharpness: float | None
    complexity: float | None
    captions: str | None


@dataclass(frozen=True, slots=True)
class Registered:
    """The row that an object has in `retrieval.image`."""

    id: int
    image_id: str


def find_image(connection: Connection, collection: str, image_id: str) -> ImageFacts | None:
    """A searchable image."""
    found = _read_images(connection, statement("images", "find_image", view=collection), {"image_id": image_id})
    return found[0] if found else None


def list_images(
    connection: Connection, collection: str, *, after: str | None, group_id: str | None, limit: int
) -> list[ImageFacts]:
    """The first searchable images after an id, in order of their ids; of one group if it is given."""
    values = {"after": after, "group_id": group_id, "limit": limit}
    return _read_images(connection, statement("images", "list_images", view=collection), values)


def find_images(connection: Connection, collection: str, image_ids: list[str]) -> list[ImageFacts]:
    """The searchable images of these ids, in order of their ids."""
    return _read_images(connection, statement("images", "find_images", view=collection), {"image_ids": image_ids})


def find_captions(connection: Connection, collection: str, image_ids: list[str]) -> dict[str, dict[str, str]]:
    """What a model wrote of each of these images, by language; images without captions are left out."""
    query = statement("images", "find_captions", view=collection)
    rows = connection.execute(query, {"image_ids": image_ids})
    return {row["image_id"]: row["captions"] for row in rows}


def _read_images(connection: Connection, query: sql.Composed, values: Values) -> list[ImageFacts]:
    rows = connection.execute(query, values)
    return [cast(ImageFacts, {**row, **shown_facts(row["attributes"], row["caption"])}) for row in rows]


def list_members(
    connection: Connection,
    collection: str,
    *,
    after: str | None,
    group_id: str | None,
    intra_id: str | None,
    limit: int,
) -> list[Member]:
    """As list_images, with fewer columns, and optionally of one `intra_id`."""
    values = {"after": after, "group_id": group_id, "intra_id": intra_id, "limit": limit}
    rows = connection.execute(statement("images", "list_members", view=collection), values).fetchall()
    return cast(list[Member], rows)


def list_same_bytes(connection: Connection, collection: str, *, limit: int, offset: int) -> list[SameBytes]:
    """Groups of images that are the same file, the largest first."""
    query = statement("images", "same_bytes", view=collection)
    return cast(list[SameBytes], connection.execute(query, {"limit": limit, "offset": offset}).fetchall())


def next_intra_id(connection: Connection, collection: str, group_id: str) -> str:
    """The number after the largest one of a group."""
    values = {"collection": collection, "group_id": group_id}
    return str(fetch_value(connection, statement("images", "next_intra_id"), values))


def find_object(connection: Connection, collection: str, image_id: str) -> ImageObject | None:
    """The URI of an image, even of a deleted one."""
    return fetch_optional(connection, ImageObject, statement("images", "find_object"), _key(collection, image_id))


def find_listed(connection: Connection, collection: str, image_id: str) -> ListedObject | None:
    """The object of a searchable image, or None if no image has that id."""
    return fetch_optional(connection, ListedObject, statement("images", "find_listed"), _key(collection, image_id))


def find_chosen(
    connection: Connection, collection: str, image_ids: Sequence[str], *, vectors: bool
) -> list[ChosenImage]:
    """The searchable images of these ids, in the order of the ids, with their vectors if these are wanted."""
    query = statement("images", "find_chosen", view=collection)
    return fetch_all(connection, ChosenImage, query, {"image_ids": image_ids, "vectors": vectors})


def find_registered(connection: Connection, collection: str, uri: str) -> Registered:
    """The row of a registered object. Raises MissingRow."""
    values = {"collection": collection, "uri": uri}
    return fetch_one(connection, Registered, statement("images", "find_registered"), values)


def mark_deleted(connection: Connection, collection: str, image_id: str) -> str | None:
    """Mark an image as deleted and forget its rejection. Returns its URI, or None if there is no such image."""
    row = connection.execute(statement("images", "mark_deleted"), _key(collection, image_id)).fetchone()
    if row is None:
        return None
    uri = str(row["uri"])
    connection.execute(statement("images", "forget_rejection"), {"collection": collection, "uri": uri})
    return uri


def describe_image(
    connection: Connection, collection: str, image_id: str, description: Description, given: Names[str]
) -> None:
    """Set an image's metadata: those of group_id, intra_id, caption and attributes that are `given`."""
    row = {**asdict(description), "attributes": Jsonb(description.attributes), "given": sorted(given)}
    connection.execute(statement("images", "describe_image"), {**row, **_key(collection, image_id)})


def _key(collection: str, image_id: str) -> dict[str, str]:
    return {"collection": collection, "image_id": image_id}
