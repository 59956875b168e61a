"""Lists pictures in tars: reads the headers of tars that changed, and puts what all of them hold into `listed`."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace

import structlog

from image_retrieval.batches import in_order
from image_retrieval.collection import Collection
from image_retrieval.errors import Reason, UserError
from image_retrieval.image_inputs import rejection_of
from image_retrieval.objects import ObjectFault, ObjectMissing, ObjectStore, StoredObject
from image_retrieval.objects.ranges import HeaderReader
from image_retrieval.pipeline.names import as_text, fault_of, without_suffix
from image_retrieval.sources.tar_headers import BLOCK, TarDamaged
from image_retrieval.sources.tar_samples import read_samples, sample_of
from image_retrieval.store import indexed, listings, tars
from image_retrieval.store.connection import Connection
from image_retrieval.store.listings import Listed, Refused
from image_retrieval.store.tars import MemberRow, TarRow
from image_retrieval.tar_uris import (
    is_pattern,
    matches,
    member_key,
    member_uri,
    split_member,
    tars_folder,
    version_of,
)

AT_ONCE = 4  # tars that are read: each may have a million members
ASKED_AT_ONCE = 32

log = structlog.get_logger()


def find_tars(collection: Collection, store: ObjectStore) -> Iterator[StoredObject]:
    """The tars of a collection's source. Raises UserError if they cannot be listed, or the only one is missing."""
    source, folder = collection.source, tars_folder(collection.source)
    if is_pattern(source):
        for page in store.pages(folder, follow_links=collection.follow_links):
            yield from (entry for entry in page if matches(entry.key, source))
        return
    found = store.stat(source)
    if found is None:
        raise UserError(f"{source} does not exist: put the tar there, or correct `source`")
    yield found


def copy_tars(connection: Connection, collection: Collection, store: ObjectStore) -> Listed:
    """Fill the temporary table `listed` with the pictures in a collection's tars. Raises UserError.

    A tar that cannot be read is rejected under its own URI, and its images stay as they were.
    """
    listings.create_listed(connection)
    found: dict[str, StoredObject] = {}
    refused: list[Refused] = []
    for entry in find_tars(collection, store):
        if fault := fault_of(entry.uri):
            refused.append(Refused(as_text(entry.uri), entry.etag, Reason.UNSUPPORTED_NAME, fault))
        else:
            found[entry.uri] = max(found.get(entry.uri, entry), entry, key=lambda one: one.last_modified)
    tars.forget_others(connection, collection.name, list(found))
    refused += _read_changed(connection, collection, store, found)
    count, more = _list_members(connection, collection, found)
    return Listed(count, refused + more)


def find_versions(connection: Connection, collection: Collection, store: ObjectStore) -> list[Refused]:
    """Write the versions of tars' members that an index file lists. Returns the members that have none, and why."""
    uris = tars.find_tars(connection)
    if not uris:
        tars.forget_others(connection, collection.name, [])
        return []
    asked = zip(uris, in_order(lambda uri: _asked(uri, store), uris, ASKED_AT_ONCE), strict=True)
    answers: dict[str, StoredObject | Refused] = dict(asked)
    found = {uri: answer for uri, answer in answers.items() if isinstance(answer, StoredObject)}
    why = {uri: answer for uri, answer in answers.items() if isinstance(answer, Refused)}
    gone = {uri for uri, answer in why.items() if answer.reason is Reason.NOT_FOUND}
    tars.forget_others(connection, collection.name, [uri for uri in uris if uri not in gone])
    for entry in _read_changed(connection, collection, store, found):
        why[entry.uri] = entry
    faults: dict[str, Refused] = {}
    for row in tars.read_tars(connection, collection.name):
        faults |= {entry.uri: entry for entry in _faults(row)}
        if row.uri in found and (fault := _unread(row, found[row.uri])):
            why[row.uri] = fault
    tars.write_versions(connection, collection.name)
    indexed.analyse_indexed(connection)
    unread = [entry for uri, entry in why.items() if uri not in gone]
    return unread + [_unfound(uri, why, faults) for uri in tars.read_unknown(connection)]


def _unfound(uri: str, why: dict[str, Refused], faults: dict[str, Refused]) -> Refused:
    tar, name = split_member(uri) or (uri, "")
    if tar in why:
        return replace(why[tar], uri=uri, etag="")
    return faults.get(uri, Refused(uri, "", Reason.NOT_FOUND, f"{tar} has no file {name[:200]!a}"))


def _asked(uri: str, store: ObjectStore) -> StoredObject | Refused:
    """A tar as a listing shows it, or why there is none."""
    try:
        found = store.stat(uri)
    except ObjectFault as fault:
        return _refused(uri, "", fault)
    return found or _refused(uri, "", ObjectMissing(f"{uri} does not exist"))


def _refused(uri: str, etag: str, fault: ObjectFault) -> Refused:
    rejection = rejection_of(fault)
    return Refused(uri, etag, rejection.reason, rejection.detail)


def _read_changed(
    connection: Connection, collection: Collection, store: ObjectStore, found: dict[str, StoredObject]
) -> list[Refused]:
    """Read tars whose version is not the one that was read last. Returns those to try again."""
    seen = tars.read_seen(connection, collection.name)
    changed = [entry for uri, entry in found.items() if seen.get(uri) != entry.etag]
    again: list[Refused] = []
    for answer in in_order(lambda entry: _read(entry, store), changed, AT_ONCE):
        if isinstance(answer, TarRow):
            tars.write_tar(connection, collection.name, answer)
        elif answer.reason.transient:
            again.append(answer)
        else:
            tars.write_unread(connection, collection.name, answer.uri, answer.etag, answer.reason, answer.detail)
    if changed:
        log.info("read tars", read=len(changed) - len(again), of=len(found))
    return again


def _read(entry: StoredObject, store: ObjectStore) -> TarRow | Refused:
    """What a version of a tar holds, or why it cannot be read."""

    def fetch(start: int, stop: int) -> bytes:
        return store.read_range(entry.uri, (start, stop), etag=entry.etag)

    try:
        held = read_samples(io.BufferedReader(HeaderReader(entry.size, fetch), buffer_size=BLOCK), entry.size)
    except ObjectFault as fault:
        return _refused(entry.uri, entry.etag, fault)
    except TarDamaged as damage:
        return Refused(entry.uri, entry.etag, Reason.UNDECODABLE, f"the tar {damage}")
    faults = [[as_text(name) if fault_of(name) else name, reason, detail] for name, reason, detail in held.faults]
    return TarRow(
        entry.uri,
        entry.etag,
        entry.etag,
        entry.last_modified,
        held.names,
        held.offsets,
        held.sizes,
        held.abouts,
        faults,
    )


def _unread(row: TarRow, entry: StoredObject) -> Refused | None:
    """Why the listed version of a tar cannot be read; None if it can, or is to be tried again."""
    if row.reason is None or row.seen != entry.etag:
        return None
    return Refused(row.uri, row.seen, Reason(row.reason), row.detail or "")


def _faults(row: TarRow) -> Iterable[Refused]:
    """The members of a tar that cannot be used."""
    for name, reason, detail in row.faults:
        uri = member_uri(row.uri, name)
        yield Refused(as_text(uri) if fault_of(uri) else uri, row.etag, Reason(reason), detail)


def _list_members(
    connection: Connection, collection: Collection, found: dict[str, StoredObject]
) -> tuple[int, list[Refused]]:
    """Put the members of all tars into `listed`. Returns their number, and what cannot be used."""
    count, folder = 0, tars_folder(collection.source)
    refused: list[Refused] = []
    for row in tars.read_tars(connection, collection.name):
        if unread := _unread(row, found[row.uri]):
            refused.append(unread)
        faulty = {name for name, reason, _ in row.faults if reason in (Reason.INVALID_LINE, Reason.TOO_LARGE)}
        refused += (
            entry
            for entry, (name, *_) in zip(_faults(row), row.faults, strict=True)
            if name in faulty or collection.takes(name)
        )
        undescribed = {sample_of(name) for name in faulty}
        kept: list[str] = []
        inside = member_uri(row.uri, "")
        with tars.writing_members(connection) as write:
            for member in _members(row, folder, collection):
                if fault := fault_of(member.uri):
                    refused.append(Refused(as_text(member.uri), member.etag, Reason.UNSUPPORTED_NAME, fault))
                    continue
                write(member)
                count += 1
                if undescribed and sample_of(member.uri.removeprefix(inside)) in undescribed:
                    kept.append(member.uri)
        if kept:
            tars.keep_descriptions(connection, collection.name, kept)
    return count, refused


def _members(row: TarRow, folder: str, collection: Collection) -> Iterator[MemberRow]:
    """The pictures of a tar as rows of `listed`."""
    for name, offset, size, about in zip(row.names, row.offsets, row.sizes, row.abouts, strict=True):
        if not collection.takes(name):
            continue
        uri = member_uri(row.uri, name)
        key = member_key(uri.removeprefix(folder))
        groups = collection.groups(key)
        version = version_of(row.etag, offset, size)
        yield MemberRow(uri, key, without_suffix(key), version, size, row.last_modified, *groups, about)
