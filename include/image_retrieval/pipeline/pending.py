"""Changes of the object store that belong to changes of the tables, and how interrupted ones are finished.

No transaction spans both. So a change of the store is announced in `retrieval.pending` before it is made, and removed
there together with its rows, or once it is done. An entry that the next holder of the collection's lock finds there was
interrupted: a process was killed, a connection broke, or the store did not answer.
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
    """The folder of copies of a collection's objects that are being overwritten, ending in `/`."""
    return folder_in(work_uri, FORMER_FOLDER, collection)


@contextmanager
def replacing(
    connection: Connection, collection: str, objects: dict[str, bytes], settings: Settings
) -> Iterator[ObjectStore]:
    """The block's writes to these URIs take effect together with the connection's transaction, or not at all.

    The transaction holds the collection's lock. Existing objects are copied first. Call `settle` after the commit.
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
    with connect(settings) as aside:  # commits while the transaction is still open
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
    """Complete or undo a collection's interrupted changes. Returns the URIs that the store refused.

    The connection's transaction must hold the collection's lock. `anew`: the collection is being created again, so
    files in its former folders that cannot be deleted now are left, and are found as orphans later. Raises UserError if
    the store fails as a whole.
    """
    if not read_pending(connection, collection):
        return []
    store, left = ObjectStore(settings), []
    with session(settings) as aside:  # finished changes stay finished even if the transaction is rolled back
        changes = read_pending(aside, collection)  # does not see announcements of the open transaction
        for change in changes:
            refused = _finish(change, store)
            if refused:
                log.warning(
                    "the object store refuses to delete", kind=change.kind, objects=len(refused), first=refused[0]
                )
                left += refused
            if not refused or (anew and change.kind == "empty"):
                forget_pending(aside, change)
    log.info("finished pending changes", changes=len(changes), left=len(left))
    return left


def settle(collection: str, settings: Settings) -> list[str]:
    """Finish a collection's pending changes, or leave them to the holder of its lock. Returns as `finish_pending`."""
    with connect(settings) as connection:
        if not try_lock_collection(connection, collection, 0):
            return []
        return finish_pending(connection, collection, settings)


@contextmanager
def settling(collection: str, settings: Settings) -> Iterator[None]:
    """Finish what the block leaves pending, whether it succeeds or fails."""
    try:
        yield
    finally:
        try:
            settle(collection, settings)
        except (UserError, DatabaseError) as error:
            log.warning("pending changes are left to the next upkeep", collection=collection, error=str(error))


def settle_all(settings: Settings) -> list[str]:
    """Finish the pending changes of all collections, including dropped ones. Returns the URIs that are left."""
    with connect(settings) as connection:
        names = collections_with_pending(connection)
    return [uri for name in names for uri in settle(name, settings)]


def _finish(change: Pending, store: ObjectStore) -> list[str]:
    """Finish one change. Returns the URIs that could not be deleted."""
    try:
        match change.kind:
            case "write":
                return _take_back(change, store)
            case "delete":
                return _delete(change, store)
            case "empty":
                return empty(change.uri, store)
    except ObjectFault as error:  # of one object
        log.warning("left pending", uri=change.uri, reason=str(error))
        return [change.uri]


def _take_back(change: Pending, store: ObjectStore) -> list[str]:
    if change.former_uri is None:
        is_ours = store.exists(change.uri) and hashlib.sha256(store.read(change.uri)).hexdigest() == change.sha256
        return store.try_delete([change.uri]) if is_ours else []
    if not store.exists(change.former_uri):  # nothing was written, or it was undone already
        return []
    store.write(change.uri, store.read(change.former_uri))
    return store.try_delete([change.former_uri])


def _delete(change: Pending, store: ObjectStore) -> list[str]:
    found = store.stat(change.uri)
    if found is None or (change.etag and (found.etag, found.last_modified) != (change.etag, change.last_modified)):
        return []
    return store.try_delete([change.uri])


def empty(folder: str, store: ObjectStore) -> list[str]:
    """Delete everything under a folder. Returns the URIs that the store refuses to delete."""
    left = [
        uri for page in store.pages(folder, missing_ok=True) for uri in store.try_delete([entry.uri for entry in page])
    ]
    if not left:
        store.delete_under(folder)  # the empty folders of a local store
    return left
