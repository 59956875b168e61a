"""Checks the lines of an index file or a table, and makes each of them a row of the comparison."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.http_fetch import target_of
from image_retrieval.image_inputs import is_url
from image_retrieval.objects import ObjectStore
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import BUCKET, SUPPORTED
from image_retrieval.sources.formats import FIELDS, READERS, Columns, Lines, plain
from image_retrieval.sources.table_lines import image_lines, table_lines
from image_retrieval.strict_json import NotStrict, is_text, read_json
from image_retrieval.tar_uris import member_key, split_member
from image_retrieval.values import small_json, unless_blank

MEMBER = re.compile(rf"{BUCKET}/.+|file:///.+", re.DOTALL)
KEPT_TEXT = 500  # characters of an id, a group, or a version
LONGEST_CAPTION = 5000  # characters, as through the API


class Member(NamedTuple):
    """A line of an index file: its number, and what it says; `key` is the path of its URI."""

    line: int
    uri: str
    key: str
    id: str | None
    etag: str | None
    group_id: str | None
    intra_id: str | None
    caption: str | None
    attributes: str | None


@dataclass(frozen=True, slots=True)
class FaultyLine:
    """A line that cannot be used, and why."""

    number: int
    detail: str


@dataclass(slots=True)
class Members:
    """A batch of an index file's lines: those that can be used, and the others."""

    rows: list[Member] = field(default_factory=list)
    faulty: list[FaultyLine] = field(default_factory=list)


def read_members(collection: Collection, store: ObjectStore, refusal: Callable[[str], str | None]) -> Iterator[Members]:
    """The lines of a collection's index file or table, in batches; blank lines are left out.

    `refusal` says why a URI may not be read, or None. Raises UserError if the file cannot be read, or has no column
    that it needs.
    """
    chosen = collection.columns.model_dump(exclude_none=True)
    image = chosen.pop("image", None)
    columns = Columns({name: chosen.get(name, name) for name in FIELDS}, frozenset(chosen) | {"uri"})
    if image:
        for lines in image_lines(collection, image, store, columns, refusal):
            found = _checked(lines, lambda uri: None)  # they lie in the source itself
            found.rows = [row._replace(key=row.id or row.key) for row in found.rows]
            yield found
    elif collection.format:
        for lines in table_lines(collection, store, columns, refusal):
            yield _checked(lines, refusal)
    else:
        with store.open(collection.source) as stream:
            for lines in READERS[collection.index_format or ""](stream, collection.source, columns):
                yield _checked(lines, refusal)


def _checked(lines: Lines, refusal: Callable[[str], str | None]) -> Members:
    found = Members(faulty=[FaultyLine(number, detail) for number, detail in lines.faults])
    nothing = [None] * len(lines.numbers)
    columns = [lines.values.get(name) or nothing for name in FIELDS]
    alone = len(lines.values) == 1
    for number, (uri, *told) in zip(lines.numbers, zip(*columns, strict=True), strict=True):
        if uri is None and alone:  # a blank line
            continue
        try:
            found.rows.append(_member(refusal, number, uri, *told))
        except ValueError as error:
            found.faulty.append(FaultyLine(number, str(error)))
    return found


def _member(
    refusal: Callable[[str], str | None],
    number: int,
    uri: Any,
    id: Any,
    etag: Any,
    caption: Any,
    attributes: Any,
    group_id: Any,
    intra_id: Any,
) -> Member:
    """A line as a row. Raises ValueError that says what is wrong with it."""
    if not isinstance(uri, str):
        raise ValueError("has no URI" if uri is None else "has a URI that is not a text")
    key = _key(uri)
    tar, _ = split_member(uri) or (uri, "")  # which may be a link to elsewhere
    if (refused := refusal(tar)) is not None:
        raise ValueError(refused)
    return Member(
        number,
        uri,
        key,
        None if id is None else text_of("id", id, KEPT_TEXT),
        None if etag is None else plain(text_of("etag", etag, KEPT_TEXT)),
        None if group_id is None else text_of("group_id", group_id, KEPT_TEXT),
        None if intra_id is None else text_of("intra_id", intra_id, KEPT_TEXT),
        caption_of(caption),
        None if attributes is None else attributes_text(attributes),
    )


def _key(uri: str) -> str:
    """The path of a member's URI, without the query of a URL. Raises ValueError if it is no such URI."""
    if is_url(uri):
        if split_member(uri):
            raise ValueError(
                f"{shown_url(uri)} names a file of a tar behind a URL: put the tar into a bucket or folder"
            )
        try:
            target_of(uri)
        except UserError as error:
            raise ValueError(str(error)) from None
        host, _, path = re.split(r"[?#]", uri, maxsplit=1)[0].partition("://")[2].partition("/")
        return path or host
    if not MEMBER.fullmatch(uri):
        raise ValueError(
            f"{shown_url(uri)} is no URI that can be read: give s3://bucket/key, file:///path or https://host/path; "
            f"schemes are {SUPPORTED}"
        )
    return member_key(uri.partition("://")[2].partition("/")[2])


def text_of(name: str, value: Any, longest: int) -> str | None:
    """A value as text; an empty one counts as none."""
    text = value if isinstance(value, str) else str(value) if type(value) in (int, float) else None
    if text is None or not is_text(text):
        raise ValueError(f"has a value of {name} that is not a text")
    if len(text) > longest:
        raise ValueError(f"has a value of {name} of {len(text)} characters: at most {longest} are allowed")
    return text or None


def caption_of(given: Any) -> str | None:
    """A caption; one without a visible character counts as none. Raises ValueError."""
    return None if given is None else unless_blank(text_of("caption", given, LONGEST_CAPTION))


def attributes_text(given: Any) -> str | None:
    """Attributes, as JSON in a text or as a mapping, in JSON; None where they are empty. Raises ValueError."""
    try:
        value = given if isinstance(given, str) else json.dumps(given, default=str)
        found = read_json(value) if value.strip() else None
        if found is not None and not isinstance(found, dict):
            raise ValueError('a JSON object such as {"colour": "red"} is needed')
        return json.dumps(small_json(found)) if found else None
    except NotStrict as error:
        raise ValueError(f"has attributes that are not JSON: {error}") from None
    except ValueError as error:
        raise ValueError(f"has wrong attributes: {error}") from None
