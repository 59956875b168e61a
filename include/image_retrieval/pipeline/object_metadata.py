"""Reads what a bucket itself keeps about its objects: the metadata that was written with them, and their tags."""

from collections.abc import Callable, Iterable, Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import partial

from image_retrieval.batches import in_order
from image_retrieval.errors import Reason, UserError
from image_retrieval.image_inputs import rejection_of
from image_retrieval.objects import ObjectFault, ObjectStore
from image_retrieval.sources.members import LONGEST_CAPTION, caption_of, text_of
from image_retrieval.store import told
from image_retrieval.store.connection import Connection
from image_retrieval.store.listings import Refused

AT_ONCE = 32  # requests
MOST_REFUSED = 1000  # requests: if access is denied to more, a right is missing
CAPTION = "caption"
RIGHTS = {"headers": "s3:GetObject", "tags": "s3:GetObjectTagging"}
Told = tuple[str, Mapping[str, object]]


def describe_by_headers(connection: Connection, collection: str, store: ObjectStore) -> list[Refused]:
    """Put into the table `told` what the metadata of objects says; only new and rewritten ones are asked for it."""
    told.keep_told(connection, collection, "headers")
    return _ask_all(connection, "headers", told.read_rewritten(connection), partial(_headers, store=store))


def describe_by_tags(connection: Connection, collection: str, store: ObjectStore) -> list[Refused]:
    """Put into the table `told` what the tags of objects say. All are asked: tags change without a new version."""
    told.keep_told(connection, collection, "tags")
    return _ask_all(connection, "tags", told.read_listed(connection), partial(_tags, store=store))


def _ask_all(
    connection: Connection, kind: str, batches: Iterable[list[str]], ask: Callable[[str], Told | Refused | None]
) -> list[Refused]:
    """Ask the store about objects. Returns those that it refuses, which stay described as they were."""
    refused: list[Refused] = []
    for batch in batches:
        answers = list(in_order(ask, batch, AT_ONCE))
        told.write_told(connection, kind, dict(answer for answer in answers if isinstance(answer, tuple)))
        refused += (answer for answer in answers if isinstance(answer, Refused))
        denied = [answer for answer in refused if answer.reason is Reason.ACCESS_DENIED]
        if len(denied) > MOST_REFUSED:
            raise UserError(
                f"the store refuses the {kind} of over {MOST_REFUSED} objects, such as {denied[0].uri} "
                f"({denied[0].detail}): give the keys the right to read them (in S3, {RIGHTS[kind]}), or remove {kind} "
                "from `metadata`"
            )
    return refused


def _headers(uri: str, store: ObjectStore) -> Told | Refused | None:
    try:
        found = store.user_metadata(uri)
        if found is None:  # gone since it was listed: reading its bytes will tell
            return None
        about = _about({name: decoded(value) for name, value in found[1].items()})
    except (ObjectFault, ValueError) as fault:
        return _refused(uri, "headers", fault)
    return uri, {**about, "version": f"{found[0].etag} {int(found[0].last_modified.timestamp())}"}


def _tags(uri: str, store: ObjectStore) -> Told | Refused | None:
    try:
        found = store.tags(uri)
        return None if found is None else (uri, _about(found))
    except (ObjectFault, ValueError) as fault:
        return _refused(uri, "tags", fault)


def _refused(uri: str, kind: str, fault: ObjectFault | ValueError) -> Refused:
    """The rejection of an object's description, under a URI of its own: the picture itself may be fine."""
    if isinstance(fault, ObjectFault):
        rejection = rejection_of(fault)
        return Refused(f"{uri}#{kind}", "", rejection.reason, rejection.detail)
    return Refused(f"{uri}#{kind}", "", Reason.INVALID_LINE, f"its {kind} hold a value that cannot be used: {fault}")


def _about(told: Mapping[str, str]) -> dict[str, object]:
    """A caption under that name, and attributes under the others."""
    caption = next((value for name, value in told.items() if name.lower() == CAPTION), None)
    found = caption_of(caption)
    attributes = {name: text_of(name, value, LONGEST_CAPTION) or "" for name, value in told.items()}
    attributes = {name: value for name, value in attributes.items() if name.lower() != CAPTION}
    return ({CAPTION: found} if found else {}) | ({"attributes": attributes} if attributes else {})


def decoded(value: str) -> str:
    """A header's value as text: stores write other letters than ASCII as MIME has it, or as bytes of UTF-8."""
    if "=?" in value:
        try:
            return str(make_header(decode_header(value)))
        except (UnicodeError, LookupError, HeaderParseError):
            return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
