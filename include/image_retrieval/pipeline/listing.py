"""List: what is in the bucket and not in the table, cut into shards."""

import math
import re
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

import pyarrow as pa
import structlog
from psycopg import sql

from image_retrieval.collection import Collection
from image_retrieval.errors import Reason, UserError
from image_retrieval.models.description import ModelDescription, describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore, StoredObject
from image_retrieval.pipeline.apart import WHY, require_apart
from image_retrieval.pipeline.moving import follow_model
from image_retrieval.pipeline.names import as_text, fault_of
from image_retrieval.pipeline.owning import WORK_MARK, require_own, work_place
from image_retrieval.pipeline.pending import finish_pending
from image_retrieval.settings import Settings
from image_retrieval.shards import MANIFEST, run_folder, shard_files, writing
from image_retrieval.store import ledger, models, vector_tables
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.reports import made_collection
from image_retrieval.store.sql import statement

log = structlog.get_logger()
COLUMNS = ["text", "text", "text", "text", "int8", "timestamptz", "text", "text"]  # of the temporary table `listed`
ID_KINDS = (1, 2, 3)  # see the statement `register`
PLAIN_KEY = re.compile(r"((?:[^/.][^/]*/)*[^/.][^/]*)\.[^/.]+")  # no part begins with a dot or is empty


@dataclass(frozen=True, slots=True)
class Plan:
    """What a listing found, in images, and how many shards it cut; `left_over` did not fit into them.

    `rejected` are those that no table can hold under their names.
    """

    listed: int
    new: int
    changed: int
    restored: int
    gone: int
    shards: int
    left_over: int
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An object that no table can hold under its name: a URI that they can hold, and what is wrong, in words."""

    uri: str
    etag: str
    detail: str


@dataclass(frozen=True, slots=True)
class Listed:
    """How many objects are in the temporary table `listed`, and those that cannot be."""

    count: int
    unsupported: list[Unsupported]


def list_images(
    collection: Collection,
    run_id: str,
    settings: Settings,
    *,
    full: bool = False,
    requeue: bool = False,
    shard_size: int | None = None,
    dry_run: bool = False,
) -> Plan:
    """Compare the bucket with the table, mark what is gone, and write a manifest per shard of what is due.

    A run of that name that is still running keeps its plan. While a switch to another model is open, each shard is
    there twice, the second time under that model. `full` takes every image again, `requeue` every one that was
    rejected, its attempts counted afresh; `dry_run` leaves no trace.
    Raises UserError where more images are gone than the collection's deletion limit allows, where the work folder lies
    inside a source, and where it is another project's.
    """
    started = time.monotonic()
    store = ObjectStore(settings)
    declared = collection
    run = {"collection": collection.name, "run_id": run_id}
    with connect(settings) as connection:
        require_ready(connection, collection, store, settings, claim=not dry_run)
        connection.execute(statement("listing", "lock_collection"), run)
        known = connection.execute(statement("listing", "find_plan"), run).fetchone()
        if known is not None:
            log.info("keeps the plan of this run", **known)
            return Plan(**known)
        if not dry_run:
            finish_pending(connection, collection.name, settings, anew=True)
        connection.execute(statement("switch", "release"), {**run, "declared": declared.model.name})
        collection = models.current(connection, declared)
        also = _other_model(connection, collection)
        manifests = [_of_model(connection, entry, settings) for entry in (collection, also) if entry]
        found = compare(connection, collection, store, run_id=run_id, full=full, requeue=requeue)
        due = found["new"] + found["changed"]
        size = shard_size or collection.shard_size
        if full:  # takes everything, in larger shards if need be: what it left would not be due at the next run
            size = max(size, math.ceil(due / collection.max_shards))
        shards = min(collection.max_shards, math.ceil(due / size))
        plan = Plan(**found, shards=shards, left_over=max(0, due - shards * size))
        if dry_run:
            connection.rollback()
        else:
            store.delete_under(run_folder(settings.work_uri, collection.name, run_id))
            rows = statement("listing", "read_due")
            for number, facts in enumerate(manifests):
                numbers = range(number * shards, (number + 1) * shards)
                write_manifests(connection, rows, MANIFEST, run, settings, numbers, size, facts)
            plan = replace(plan, shards=shards * len(manifests))
            connection.execute(statement("listing", "forget_run"), run)
            row = {**run, **asdict(plan), "model": collection.model.name, "also": also.model.name if also else None}
            seconds = time.monotonic() - started
            connection.execute(statement("listing", "write_run"), {**row, "switch": None, "seconds": seconds})
            if not plan.shards:  # else what embeds them compares the digest
                follow_model(connection, collection, settings)
    log.info("would do" if dry_run else "listed", **asdict(plan), seconds=round(time.monotonic() - started, 2))
    return plan


def require_ready(
    connection: Connection, collection: Collection, store: ObjectStore, settings: Settings, *, claim: bool = True
) -> None:
    """Raise UserError where a run of a collection of the file would meet another's images, files or pictures."""
    require_apart(connection, collection, settings)
    require_declared(connection, collection)
    require_own(connection, work_place(settings), store, claim=claim)


def require_declared(connection: Connection, collection: Collection) -> None:
    """Raise UserError where a collection of the file has the name of one that was made through the API."""
    if made_collection(connection, collection.name):
        raise UserError(
            f"collection {collection.name!r} was made through the API, and an entry of collections.yaml has its name: "
            "give the entry another name, or drop the collection through the API first"
        )


def compare(
    connection: Connection,
    collection: Collection,
    store: ObjectStore,
    *,
    run_id: str = "",
    full: bool = False,
    requeue: bool = False,
) -> dict[str, int]:
    """Bring `retrieval.image` in step with the bucket, and put what is to be embedded into the temporary table `due`.

    Returns the counts of a Plan that this finds. Raises UserError where too much is gone.
    """
    key = {"collection": collection.name}
    model = {"model": collection.model.name}
    connection.execute(statement("listing", "prepare_session"))
    listed = copy_listing(connection, collection, store)
    if requeue:
        ledger.requeue(connection, ledger.Rejected(collection.name))
    connection.execute(statement("listing", "find_differences", vectors=collection.vector_table), {**key, **model})
    gone = _mark_gone(connection, collection, listed)
    _reject_unsupported(connection, collection, run_id, listed.unsupported)
    if not full:
        connection.execute(statement("listing", "narrow_listed"))
    restored = connection.execute(statement("listing", "restore"), key).rowcount
    new, changed = _find_due(connection, collection, full)
    counts = {"listed": listed.count + len(listed.unsupported), "new": new, "changed": changed, "restored": restored}
    return {**counts, "gone": gone, "rejected": len(listed.unsupported)}


def copy_listing(connection: Connection, collection: Collection, store: ObjectStore) -> Listed:
    """Stream the source's pages into the temporary table `listed`, each object once: as it was last modified.

    Raises UserError where the source cannot be listed completely.
    """
    connection.execute(statement("listing", "create_listed"))
    count, last, ordered = 0, "", True
    unsupported: dict[str, Unsupported] = {}
    with connection.cursor().copy(statement("listing", "copy_listed")) as copy:
        copy.set_types(COLUMNS)
        for page in store.pages(collection.source, follow_links=collection.follow_links):
            for entry in page:
                if entry.key.endswith(WORK_MARK):
                    raise UserError(
                        f"a work folder lies inside the source of {collection.name!r}, at {entry.uri}: {WHY}"
                    )
                if not collection.takes(entry.key) or (not entry.size and _is_marker(entry)):
                    continue
                uri = entry.uri
                if fault := fault_of(uri):
                    unsupported[as_text(uri)] = Unsupported(as_text(uri), entry.etag, fault)
                    continue
                copy.write_row(listed_row(entry, collection))
                count += 1
                ordered = ordered and uri > last
                last = uri
    if not ordered:  # in order, nothing is there twice
        count -= connection.execute(statement("listing", "forget_repeated")).rowcount
    connection.execute(statement("listing", "analyse_listed"))
    return Listed(count, list(unsupported.values()))


def _is_marker(entry: StoredObject) -> bool:
    """Whether this is how an S3 store notes that there is a folder."""
    return not entry.size and (not entry.key or entry.key.endswith("/"))


def listed_row(
    entry: StoredObject, collection: Collection
) -> tuple[str, str, str, str, int, datetime, str | None, str | None]:
    """An object as a row of the temporary table `listed`."""
    groups = collection.groups(entry.key)
    return entry.uri, entry.key, _without_suffix(entry.key), entry.etag, entry.size, entry.last_modified, *groups


def _without_suffix(key: str) -> str:
    plain = PLAIN_KEY.fullmatch(key)  # a tenth of the time that a path takes
    if plain:
        return plain[1]
    path = PurePosixPath(key)
    return str(path.with_suffix("")) if path.name else key  # `/` and `.` have none


def _mark_gone(connection: Connection, collection: Collection, listed: Listed) -> int:
    counts = connection.execute(statement("listing", "count_differences")).fetchone() or {}
    gone = int(counts["gone"])
    known = listed.count - int(counts["added"]) + gone
    allowed = math.ceil(round(collection.deletion_limit * known, 6))
    if gone > allowed:
        raise UserError(
            f"{gone} of {known} images of collection {collection.name!r} are gone from {collection.source}, more than "
            f"its deletion_limit of {collection.deletion_limit:.0%}: nothing was changed; "
            "correct `source` or `glob`, or raise `deletion_limit` for one run"
        )
    connection.execute(statement("listing", "mark_gone"))
    kept = {"collection": collection.name, "unsupported": [entry.uri for entry in listed.unsupported]}
    connection.execute(statement("listing", "forget_rejected"), kept)
    return gone


def _reject_unsupported(
    connection: Connection, collection: Collection, run_id: str, unsupported: list[Unsupported]
) -> None:
    if unsupported:
        key = {"collection": collection.name, "run_id": run_id, "reason": str(Reason.UNSUPPORTED_NAME)}
        with connection.cursor() as cursor:
            rows = [{**key, **asdict(entry)} for entry in unsupported]
            cursor.executemany(statement("listing", "reject_unsupported"), rows)


def register_listed(connection: Connection, collection: Collection) -> None:
    """Give each object of the temporary table `listed` that is new its row in `retrieval.image`, and so its id."""
    for kind in ID_KINDS:
        connection.execute(statement("listing", "register"), {"collection": collection.name, "kind": kind})


def _find_due(connection: Connection, collection: Collection, full: bool) -> tuple[int, int]:
    key = {"collection": collection.name}
    register_listed(connection, collection)
    connection.execute(statement("listing", "regroup"), key)
    connection.execute(
        statement("listing", "find_due", vectors=collection.vector_table),
        {**key, "full": full, "model": collection.model.name},
    )
    counts = connection.execute(statement("listing", "count_due")).fetchone() or {}
    return int(counts["new"]), int(counts["changed"])


def _other_model(connection: Connection, collection: Collection) -> Collection | None:
    """The collection under the model that an open switch brings in."""
    found = connection.execute(statement("switch", "find_open"), {"collection": collection.name}).fetchone()
    if found is None or found["to_model"] == collection.model.name:
        return None
    return models.under(connection, collection, found["to_model"])


def _of_model(connection: Connection, collection: Collection, settings: Settings) -> dict[str, str]:
    """Make the model's row and vector table where they are missing; returns the facts for its manifests."""
    model = describe(model_folder(collection.model.source, collection.model.revision, settings, weights=False))
    digest = models.register_model(connection, collection, model)
    vector_tables.ensure_vector_table(connection, collection, model.dimensions)
    return manifest_facts(collection, model, digest)


def manifest_facts(collection: Collection, model: ModelDescription, digest: str | None) -> dict[str, str]:
    """A manifest's metadata: what a shard must know of its model."""
    width, height = collection.resample.target_size or model.size
    return {"width": str(width), "height": str(height), **({"digest": digest} if digest else {})}


def write_manifests(
    connection: Connection,
    due: sql.Composed,
    layout: pa.Schema,
    run: dict[str, str],
    settings: Settings,
    shards: range,
    size: int,
    facts: dict[str, str],
) -> None:
    """Write the manifests of a run's shards, with `size` of the rows that the statement `due` reads in each."""
    store = ObjectStore(settings)
    with connection.cursor(name="due") as cursor:
        cursor.execute(due, {"limit": len(shards) * size})
        for shard in shards:
            files = shard_files(settings.work_uri, run["collection"], run["run_id"], shard)
            with writing(store, files.manifest, layout, compression="zstd") as writer:
                writer.write_table(pa.Table.from_pylist(cursor.fetchmany(size), layout))
                writer.add_key_value_metadata(facts)
