"""What must change in the object store together with the tables, and how it is finished where it was broken off.

No transaction spans both. So a change of the store is announced in `retrieval.pending` before it is made, and taken out
with the rows that belong to it, or once it is done. What is found there by whoever next has the collection's lock was
broken off: a process was killed, a connection broke, the store did not answer.
"""

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectFault, ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import FORMER_FOLDER, folder_in
from image_retrieval.store.connection import Connection, connect, session
from image_retrieval.store.failures import DatabaseError
from image_retrieval.store.locks import try_lock_collection
from image_retrieval.store.pending import (
    Pending,
    announce,
    collections_with_pending,
    forget_pending,
    read_pending,
)

log = structlog.get_logger()


def former_folder(work_uri: str, collection: str) -> str:
    """The folder of the copies of what is being overwritten of a collection, ending in `/`."""
    return folder_in(work_uri, FORMER_FOLDER, collection)


@contextmanager
def replacing(
    connection: Connection, collection: str, objects: dict[str, bytes], settings: Settings
) -> Iterator[ObjectStore]:
    """Objects that the block writes, by URI, come to be with the transaction of the connection or not at all.

    That transaction holds the collection's lock. What lay there is copied first. Whoever has committed calls `settle`.
    """
    store = ObjectStore(settings)
    folder = former_folder(settings.work_uri, collection)
    changes = [
        Pending(
            collection,
            uri,
            "write",
            sha256=hashlib.sha256(data).hexdigest(),
            former_uri=f"{folder}{uuid.uuid4().hex}" if store.exists(uri) else None,
        )
        for uri, data in objects.items()
    ]
    with connect(settings) as aside:  # which commits while the transaction goes on
        for change in changes:
            announce(aside, change)
    for change in changes:
        if change.former_uri:
            store.write(change.former_uri, store.read(change.uri))
    yield store
    for change in changes:
        forget_pending(connection, change)
        if change.former_uri:
            announce(connection, Pending(collection, change.former_uri, "delete"))


def finish_pending(connection: Connection, collection: str, settings: Settings, *, anew: bool = False) -> list[str]:
    """Carry out or take back what was broken off of a collection. Returns the URIs that the store refused.

    For those whose transaction, that of the connection, holds the collection's lock. `anew`: the collection is made
    anew, so of its former folders what cannot be emptied now is left to be found as orphans. Raises UserError where the
    store fails as a whole.
    """
    if not read_pending(connection, collection):
        return []
    store, left = ObjectStore(settings), []
    with session(settings) as aside:  # what is done must stay done, whatever becomes of the transaction
        changes = read_pending(aside, collection)  # without those that the transaction itself has announced
        for change in changes:
            refused = _finish(change, store)
            if refused:
                log.warning(
                    "the object store refuses to delete", kind=change.kind, objects=len(refused), first=refused[0]
                )
                left += refused
            if not refused or (anew and change.kind == "empty"):
                forget_pending(aside, change)
    log.info("finished what was pending", changes=len(changes), left=len(left))
    return left


def settle(collection: str, settings: Settings) -> list[str]:
    """Finish what is pending of a collection; whoever holds its lock meanwhile does so. Returns as `finish_pending`."""
    with connect(settings) as connection:
        if not try_lock_collection(connection, collection, 0):
            return []
        return finish_pending(connection, collection, settings)


@contextmanager
def settling(collection: str, settings: Settings) -> Iterator[None]:
    """Finish what the block leaves pending, whether it ends well or not."""
    try:
        yield
    finally:
        try:
            settle(collection, settings)
        except (UserError, DatabaseError) as error:
            log.warning("something is left to the next upkeep", collection=collection, error=str(error))


def settle_all(settings: Settings) -> list[str]:
    """Finish what is pending of any collection, dropped ones among them. Returns the URIs that are left."""
    with connect(settings) as connection:
        names = collections_with_pending(connection)
    return [uri for name in names for uri in settle(name, settings)]


def _finish(change: Pending, store: ObjectStore) -> list[str]:
    """Returns the URIs that could not be deleted."""
    try:
        match change.kind:
            case "write":
                return _take_back(change, store)
            case "delete":
                return _delete(change, store)
            case "empty":
                return _empty(change.uri, store)
    except ObjectFault as error:  # of one object
        log.warning("left pending", uri=change.uri, reason=str(error))
        return [change.uri]


def _take_back(change: Pending, store: ObjectStore) -> list[str]:
    if change.former_uri is None:
        is_ours = store.exists(change.uri) and hashlib.sha256(store.read(change.uri)).hexdigest() == change.sha256
        return store.try_delete([change.uri]) if is_ours else []
    if not store.exists(change.former_uri):  # so nothing was written, or it was taken back already
        return []
    store.write(change.uri, store.read(change.former_uri))
    return store.try_delete([change.former_uri])


def _delete(change: Pending, store: ObjectStore) -> list[str]:
    found = store.stat(change.uri)
    if found is None or (change.etag and (found.etag, found.last_modified) != (change.etag, change.last_modified)):
        return []
    return store.try_delete([change.uri])


def _empty(folder: str, store: ObjectStore) -> list[str]:
    left = [
        uri for page in store.pages(folder, missing_ok=True) for uri in store.try_delete([entry.uri for entry in page])
    ]
    if not left:
        store.delete_under(folder)  # the folders of this machine, which are empty
    return left
