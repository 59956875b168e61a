"""Describes images by a query against people's own tables, which an entry of collections.yaml holds."""

import json
from typing import Any

import structlog

from image_retrieval.collection import Collection
from image_retrieval.errors import Reason, Unavailable, UserError
from image_retrieval.pipeline.names import as_text, fault_of
from image_retrieval.settings import Settings
from image_retrieval.sources.members import attributes_text, caption_of, text_of
from image_retrieval.store import attributes, told
from image_retrieval.store.connection import Connection
from image_retrieval.store.failures import Locked
from image_retrieval.store.listings import Refused
from image_retrieval.strict_json import NotStrict, read_json
from image_retrieval.values import KNOWN_ID_LETTERS

KEYS = ("image_id", "group_id")
MOST_FAULTY = 1000  # rows: if more cannot be used, the query cannot

log = structlog.get_logger()


def describe_by_query(connection: Connection, collection: Collection, query: str, settings: Settings) -> list[Refused]:
    """Put into the table `told` what a collection's query says of its images.

    Returns the rows that cannot be used, or the query if it fails; images stay as that described them before. Raises
    Unavailable.
    """
    place = f"{collection.source}#attributes_from"
    try:
        key, refused = _ask(connection, place, query, settings)
    except UserError as error:
        if isinstance(error, Unavailable) and not isinstance(error, Locked):
            raise
        log.warning("attributes_from fails: images stay as it described them", reason=str(error))
        attributes.drop_asked(connection)
        told.keep_told(connection, collection.name, "query")
        return [Refused(place, "", Reason.INVALID_LINE, f"attributes_from fails: {error}")]
    attributes.tell_asked(connection, collection.name, by_group=key == "group_id")
    attributes.drop_asked(connection)
    return refused


def _ask(connection: Connection, place: str, query: str, settings: Settings) -> tuple[str, list[Refused]]:
    """Fill the table `asked`. Returns the column that names images, and the rows that cannot be used."""
    attributes.create_asked(connection)
    key = ""
    refused: list[Refused] = []
    for batch in attributes.read_rows(settings, query):
        keys: list[str] = []
        abouts: list[str | None] = []
        for text in batch:
            key = key or _key(text)
            name, about, fault = _row(text, key)
            if fault:
                uri = f"{place}={name or '?'}"
                refused.append(Refused(as_text(uri) if fault_of(uri) else uri, "", Reason.INVALID_LINE, fault))
            if name is not None:
                keys.append(name)
                abouts.append(about)
        attributes.write_asked(connection, keys, abouts)
        if len(refused) > MOST_FAULTY:
            raise UserError(f"over {MOST_FAULTY} rows cannot be used; the row of {refused[0].uri} {refused[0].detail}")
    return key, refused


def _key(text: str) -> str:
    """The column that names images."""
    found = [name for name in KEYS if name in read_json(text)]
    if len(found) != 1:
        raise UserError("the query must return a column image_id or group_id, and not both")
    return found[0]


def _row(text: str, key: str) -> tuple[str | None, str | None, str | None]:
    """What a row names, what it says of that as JSON, and why it cannot be used; a row that names nothing is none."""
    name = None
    try:
        row: dict[str, Any] = read_json(text)
        given = row.pop(key)
        if given is None:
            return None, None, None
        name = text_of(key, given, KNOWN_ID_LETTERS)
        caption = caption_of(row.pop("caption", None))
        found = attributes_text({column: value for column, value in row.items() if value is not None})
    except (NotStrict, ValueError) as error:
        return name, None, str(error)
    about = ({} if caption is None else {"caption": caption}) | ({"attributes": json.loads(found)} if found else {})
    return name, json.dumps(about), None
