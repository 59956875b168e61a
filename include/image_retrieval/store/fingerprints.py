"""Fingerprints that images lack, since they were embedded before the schema had them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from image_retrieval.imaging.resample import Prints
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Unprinted:
    """An image without all its fingerprints; width and height are the original's, upright."""

    id: int
    etag: str
    resampled_uri: str
    width: int
    height: int


def find_unprinted(connection: Connection, collection: str, after: int, limit: int, *, whole: bool) -> list[Unprinted]:
    """The first images after an id that have a resampled picture and lack fingerprints.

    `whole`: those that lack the perceptual hash alone are among them.
    """
    wanted = {"collection": collection, "after": after, "limit": limit, "whole": whole}
    return fetch_all(connection, Unprinted, statement("fingerprints", "find_unprinted"), wanted)


def set_prints(connection: Connection, prints: Sequence[tuple[Unprinted, Prints]]) -> None:
    """Record the missing fingerprints of images whose versions have not changed."""
    rows = [
        {"id": image.id, "etag": image.etag, "phash": found.phash, **asdict(found.looks)} for image, found in prints
    ]
    with connection.cursor() as cursor:
        cursor.executemany(statement("fingerprints", "set_prints"), rows)
