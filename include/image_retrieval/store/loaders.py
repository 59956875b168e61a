"""Reads values that a table can hold and Python cannot: they affect only their own field of an answer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from psycopg import Connection, DataError
from psycopg.abc import Buffer
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader
from psycopg.types.json import set_json_loads

from image_retrieval.strict_json import NotStrict, read_json

SHOWN_BYTES = 2**20  # of attributes as text; the statements that read them cut longer ones
SHOWN_LETTERS = 100_000  # of a caption, cut in the same way
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that an answer cannot show, and why."""

    reason: str


class _Timestamp(TimestamptzLoader):
    """A time, clipped to the first or last one that Python can represent."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except (DataError, OverflowError, ValueError):
            text = bytes(data)
            return FIRST if text.startswith(b"-") or text.endswith(b"BC") or text.startswith(b"0001") else LAST


class _BinaryTimestamp(TimestamptzBinaryLoader):
    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except (DataError, OverflowError, ValueError):
            return FIRST if bytes(data)[0] & 0x80 else LAST  # the sign of microseconds since 2000


def read_anything(connection: Connection[Any]) -> None:
    """Let a connection read every row: JSON that Python cannot hold becomes Unreadable, and times are clipped."""
    set_json_loads(_read, connection)
    connection.adapters.register_loader("timestamptz", _Timestamp)
    connection.adapters.register_loader("timestamptz", _BinaryTimestamp)


class ShownFacts(TypedDict):
    """What is said of an image, as far as an answer can show it; `unreadable` says why, where that is not all."""

    attributes: dict[str, Any] | None
    caption: str | None
    unreadable: dict[str, str]


def shown_facts(attributes_text: str | None, caption: str | None) -> ShownFacts:
    """The attributes of an image, read, and its caption, cut: both come as text, which the statement has cut."""
    unreadable = {}
    attributes = None if attributes_text is None else _attributes(attributes_text)
    if isinstance(attributes, Unreadable):
        unreadable["attributes"] = attributes.reason
        attributes = None
    if caption is not None and len(caption) > SHOWN_LETTERS:
        unreadable["caption"] = f"has more than {SHOWN_LETTERS} characters: only the first are shown"
        caption = caption[:SHOWN_LETTERS]
    return {"attributes": attributes, "caption": caption, "unreadable": unreadable}


def _attributes(text: str) -> "dict[str, Any] | Unreadable":
    if len(text) > SHOWN_BYTES:
        return Unreadable(f"has more than {SHOWN_BYTES} characters")
    found = _read(text)
    return found if isinstance(found, dict | Unreadable) else Unreadable("is not a JSON object")


def _read(text: str | bytes) -> Any:
    try:
        return read_json(text)
    except NotStrict as error:
        return Unreadable(str(error))
