"""Puts what an index file lists into the table `listed`, each member at the version that its store has."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from os.path import commonprefix

import structlog

from image_retrieval.allowed import refusal
from image_retrieval.batches import in_order
from image_retrieval.collection import Collection
from image_retrieval.errors import ImageRejected, Reason, UserError
from image_retrieval.http_members import ask_url
from image_retrieval.image_inputs import rejection_of
from image_retrieval.objects import ObjectFault, ObjectStore, StoreUnavailable
from image_retrieval.pipeline import tars
from image_retrieval.pipeline.names import as_text, fault_of, without_suffix
from image_retrieval.settings import Settings
from image_retrieval.sources.members import Member, read_members
from image_retrieval.store import indexed, listings
from image_retrieval.store.connection import Connection
from image_retrieval.store.indexed import IndexedRow, Place, VersionRow
from image_retrieval.store.listings import Listed, Refused
from image_retrieval.tar_uris import split_member

FEW = 1000  # members of a bucket that are asked for one by one, since a listing may be long
PER_PAGE = 50  # members that a page of a listing must hold on average, else asking for them is faster
AT_ONCE = 32  # requests for versions

log = structlog.get_logger()


def copy_index(
    connection: Connection, collection: Collection, store: ObjectStore, settings: Settings, *, ask_urls: bool = True
) -> Listed:
    """Fill the temporary table `listed` from a collection's index file, and tell the lines that it cannot hold.

    A line's version is its `etag`, else what the store says: from a listing of the members' common folder where that
    is short, else from a request for each. Without `ask_urls`, a known URL has the version that the table knows, and
    another one is left out. Raises UserError if the file cannot be read, or a store does not answer.
    """
    listings.create_listed(connection)
    indexed.create_indexed(connection)
    refused: list[Refused] = []
    for members in read_members(collection, store, partial(refusal, settings=settings)):
        for faulty in members.faulty:
            uri = f"{collection.source}#line={faulty.number}"
            refused.append(Refused(uri, "", Reason.INVALID_LINE, f"line {faulty.number} {faulty.detail}"))
        rows = []
        for member in members.rows:
            if fault := fault_of(member.uri):
                refused.append(Refused(as_text(member.uri), "", Reason.UNSUPPORTED_NAME, fault))
            else:
                rows.append(_row(member, collection))
        indexed.write_indexed(connection, rows)
    indexed.analyse_indexed(connection)
    if repeated := indexed.forget_repeated_lines(connection):
        log.warning("lines repeat the URI of an earlier one", file=collection.source, lines=repeated)
    unanswered: list[Refused] = []
    for place in indexed.find_places(connection):
        unanswered += _find_versions(connection, place, store, settings)
    unanswered += tars.find_versions(connection, collection, store)
    given_up: list[str] = []
    not_asked: list[str] = []
    for urls in indexed.read_urls(connection, collection.name):
        given_up += [url.uri for url in urls if url.given_up]
        asked = [url.uri for url in urls if not url.given_up]
        if ask_urls:
            unanswered += _write_found(connection, asked, partial(_ask_url, settings=settings))
        else:
            not_asked += asked
    doubtful = [entry.uri for entry in unanswered if entry.reason is not Reason.NOT_FOUND]
    known = indexed.keep_known(connection, collection.name, doubtful + given_up + not_asked)
    refused += [entry for entry in unanswered if entry.uri not in known]
    indexed.analyse_indexed(connection)
    return Listed(indexed.fill_listed(connection), refused, [uri for uri in given_up if uri not in known])


def _row(member: Member, collection: Collection) -> IndexedRow:
    """A line as a row: the pattern's groups where the line has none."""
    group_id, intra_id = member.group_id, member.intra_id
    if collection.id_pattern and (group_id is None or intra_id is None):
        groups = collection.groups(member.key)
        group_id, intra_id = group_id or groups[0], intra_id or groups[1]
    return IndexedRow(
        member.line,
        member.uri,
        member.key,
        member.id or without_suffix(member.key),
        None if split_member(member.uri) else member.etag,  # of a tar's member, its place is a part of the version
        group_id,
        intra_id,
        member.caption,
        member.attributes,
    )


def _find_versions(connection: Connection, place: Place, store: ObjectStore, settings: Settings) -> Iterator[Refused]:
    """Write the versions of a bucket's members. Yields those that are missing or refused."""
    folder = commonprefix([place.first, place.last]).rpartition("/")[0] + "/"  # noqa: RUF071  of URIs, not of paths
    if place.members > FEW and not refusal(folder, settings):  # the folder may lie above what may be read
        _list_versions(connection, folder, place.members, store)
        indexed.analyse_indexed(connection)
    for uris in indexed.read_unknown(connection, folder):
        yield from _write_found(connection, uris, partial(_ask, store=store))


def _write_found(connection: Connection, uris: list[str], ask: Callable[[str], VersionRow | Refused]) -> list[Refused]:
    """Ask for the versions of members, and write them. Returns those that have none."""
    answers = list(in_order(ask, uris, AT_ONCE))
    indexed.write_versions(connection, [answer for answer in answers if isinstance(answer, VersionRow)])
    return [answer for answer in answers if isinstance(answer, Refused)]


def _list_versions(connection: Connection, folder: str, members: int, store: ObjectStore) -> None:
    """Write what a listing of the folder shows, as long as it may be shorter than requests for the members."""
    try:
        for page in islice(store.pages(folder, missing_ok=True), 1 + members // PER_PAGE):
            indexed.write_versions(
                connection, [VersionRow(entry.uri, entry.etag, entry.size, entry.last_modified) for entry in page]
            )
    except StoreUnavailable:
        raise
    except UserError as error:  # the right to list may be missing where the one to read is there
        log.info("a folder of members cannot be listed: each is asked for", folder=folder, reason=str(error))


def _ask(uri: str, store: ObjectStore) -> VersionRow | Refused:
    """The version of an object, or why there is none."""
    try:
        found = store.stat(uri)
    except ObjectFault as fault:
        rejection = rejection_of(fault)
        return Refused(uri, "", rejection.reason, rejection.detail)
    if found is None:
        return Refused(uri, "", Reason.NOT_FOUND, f"{uri} does not exist")
    return VersionRow(uri, found.etag, found.size, found.last_modified)


def _ask_url(url: str, settings: Settings) -> VersionRow | Refused:
    """The version of a URL, or why there is none."""
    try:
        told = ask_url(url, settings)
    except ImageRejected as rejection:
        return Refused(url, "", rejection.reason, rejection.detail)
    return VersionRow(url, told.version, told.size, told.last_modified)
