"""List: finds what is in the source and not in the table, and divides it into shards."""

import math
import time
from collections.abc import Iterable
from dataclasses import asdict, replace

import pyarrow as pa
import structlog

from image_retrieval import allowed
from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.models.description import ModelDescription, describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore, Page
from image_retrieval.pipeline.apart import require_apart
from image_retrieval.pipeline.changes import find_changes
from image_retrieval.pipeline.describing import describe_listed
from image_retrieval.pipeline.hints import hinted_pages, leave_many_gone
from image_retrieval.pipeline.index_files import copy_index
from image_retrieval.pipeline.inventories import copy_inventory
from image_retrieval.pipeline.listing_parts import ListingParts, keeping_parts
from image_retrieval.pipeline.moving import follow_model
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.pipeline.pending import finish_pending
from image_retrieval.pipeline.prefixes import copy_prefix
from image_retrieval.pipeline.table_images import at_version
from image_retrieval.pipeline.tars import copy_tars
from image_retrieval.settings import Settings
from image_retrieval.shards import MANIFEST, ManifestRow, Shard, probes_uri, run_folder, table_of, writing
from image_retrieval.store import listings, models, rejections, runs, switches, tars, vector_tables
from image_retrieval.store.collections import made_collection
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.hints import create_hinted, forget_hints
from image_retrieval.store.listings import Differences, Listed
from image_retrieval.store.locks import lock_collection
from image_retrieval.store.parts import forget_parts
from image_retrieval.store.runs import RunPlan

log = structlog.get_logger()


def list_images(
    collection: Collection,
    run_id: str,
    settings: Settings,
    *,
    full: bool = False,
    requeue: bool = False,
    shard_size: int | None = None,
    dry_run: bool = False,
    hinted: bool = False,
) -> RunPlan:
    """Compare the source with the table, mark missing images as deleted, and write a manifest per shard of due images.

    A run of that name that is still running keeps its plan. While a switch to another model is open, each shard is
    planned twice, the second time under that model. `full` includes every image, and `requeue` every rejected one, with
    its attempts reset; `dry_run` writes nothing; `hinted` compares only the objects that hints name. Raises UserError
    if more images are missing than the collection's deletion limit allows, if the work folder lies inside a source, or
    if it belongs to another project.
    """
    started, store = time.monotonic(), ObjectStore(settings)
    declared = collection
    with connect(settings) as connection:
        require_ready(connection, collection, store, settings, claim=not dry_run)
        lock_collection(connection, collection.name)
        known = runs.find_plan(connection, collection.name, run_id)
        if known is not None:
            log.info("the run keeps its plan", **asdict(known))
            return known
        if not dry_run:
            finish_pending(connection, collection.name, settings, anew=True)
        switches.release(connection, collection.name, declared.model.name)
        collection = at_version(models.current(connection, declared), store, settings)
        also = _other_model(connection, collection)
        manifests = [_of_model(connection, entry, settings) for entry in (collection, also) if entry]
        options = {"full": full, "requeue": requeue, "hinted": hinted, "keep": not dry_run}
        found = compare(connection, collection, store, settings, run_id=run_id, **options)
        plan, size = _cut(found, collection, shard_size or collection.shard_size, full=full)
        if dry_run:
            connection.rollback()
        else:
            store.delete_under(run_folder(settings.work_uri, collection.name, run_id))
            for number, facts in enumerate(manifests):
                batches = listings.read_due(connection, plan.shards * size, size)
                first = Shard(collection.name, run_id, number * plan.shards)
                write_manifests(batches, MANIFEST, first, settings, facts)
            plan = replace(plan, shards=plan.shards * len(manifests))
            other, taken = also.model.name if also else None, time.monotonic() - started
            runs.record_plan(
                connection, collection.name, run_id, plan, model=collection.model.name, also=other, seconds=taken
            )
            if hinted and not plan.left_over:  # at the end: whoever repeats one of these hints waits for the commit
                forget_hints(connection, collection.name)
            if not plan.shards:  # otherwise `embed` compares the digest
                follow_model(connection, collection, settings)
    log.info("planned (dry run)" if dry_run else "listed", **asdict(plan), seconds=round(time.monotonic() - started, 2))
    return plan


def _cut(found: RunPlan, collection: Collection, size: int, *, full: bool) -> tuple[RunPlan, int]:
    """The plan with its shards, and how many images each of them takes; wanted are `size`."""
    due = found.new + found.changed
    if full:  # plans everything, in larger shards if needed: the rest would not be due at the next run
        size = max(size, math.ceil(due / collection.max_shards))
    shards = min(collection.max_shards, math.ceil(due / size))
    return replace(found, shards=shards, left_over=max(0, due - shards * size)), size


def require_ready(
    connection: Connection, collection: Collection, store: ObjectStore, settings: Settings, *, claim: bool = True
) -> None:
    """Raise UserError if a run may not read the source, or would touch images, files or pictures of another one."""
    allowed.require(collection.source, settings)
    require_apart(connection, collection, settings)
    require_declared(connection, collection)
    require_own(connection, work_place(settings), store, claim=claim)


def require_declared(connection: Connection, collection: Collection) -> None:
    """Raise UserError if an entry of collections.yaml has the name of a collection made through the API."""
    if made_collection(connection, collection.name):
        raise UserError(
            f"collection {collection.name!r} of collections.yaml has the name of one that was made through the API: "
            "give the entry another name, or drop the collection through the API first"
        )


def compare(
    connection: Connection,
    collection: Collection,
    store: ObjectStore,
    settings: Settings,
    *,
    run_id: str = "",
    full: bool = False,
    requeue: bool = False,
    hinted: bool = False,
    keep: bool = False,
) -> RunPlan:
    """Update `retrieval.image` to match the source, and put the images to embed into the temporary table `due`.

    `hinted`: of the objects that hints name. `keep`: let the next try of the run go on where this one is killed.
    Returns the plan without shards. Raises UserError if too many images are missing.
    """
    options = {"full": full, "requeue": requeue, "hinted": hinted}
    with keeping_parts(collection, run_id if keep else "", settings) as kept:
        plan = _compared(connection, collection, store, settings, kept, run_id=run_id, **options)
    if not hinted:  # at the end: the transaction locks them
        forget_parts(connection, collection.name)
    return plan


def _compared(
    connection: Connection,
    collection: Collection,
    store: ObjectStore,
    settings: Settings,
    kept: ListingParts,
    *,
    run_id: str,
    full: bool,
    requeue: bool,
    hinted: bool,
) -> RunPlan:
    if hinted and not collection.watch:
        raise UserError(f"collection {collection.name!r} takes no hints: give its entry the key `watch`")
    listings.prepare_session(connection)
    create_hinted(connection)
    if requeue:  # first, since URLs that were given up are not asked for their version
        rejections.requeue(connection, rejections.Rejected(collection.name))
    if not (collection.index_format or collection.lists_tars):  # it may have been one of tars before
        tars.forget_others(connection, collection.name, [])
    pages = hinted_pages(connection, collection, store) if hinted else None
    changes = None if hinted or full else find_changes(connection, collection, store, kept)
    listed = changes or copy_listing(connection, collection, store, settings, pages)
    described = describe_listed(connection, collection, store, settings)
    listed = replace(listed, refused=[*listed.refused, *described])
    differences = listings.find_differences(connection, collection.space, hinted=hinted, compared=bool(changes))
    if hinted:
        differences = replace(differences, gone=leave_many_gone(connection, collection, differences.gone))
    else:
        _require_few_gone(collection, listed.count, differences)
    listings.mark_gone(connection)
    listings.forget_rejected(connection, collection.name, listed, hinted=hinted)
    listings.reject_listed(connection, collection.name, run_id, listed.refused, settings.max_attempts)
    if not full:
        listings.narrow_listed(connection)
    restored = listings.restore(connection, collection.name)
    listings.register_listed(connection, collection.name)
    listings.describe(connection, collection.name)
    due = listings.find_due(connection, collection.space, full=full)
    return RunPlan(
        listed=listed.count + listed.rejected,
        new=due.new,
        changed=due.changed,
        restored=restored,
        gone=differences.gone,
        shards=0,
        left_over=0,
        rejected=listed.rejected,
    )


def copy_listing(
    connection: Connection,
    collection: Collection,
    store: ObjectStore,
    settings: Settings,
    pages: Iterable[Page] | None = None,
    *,
    ask_urls: bool = True,
) -> Listed:
    """Stream what the source lists, or given pages of it, into the temporary table `listed`.

    Each object is there once, in its latest version. Without `ask_urls`, URLs have the versions that the table knows.
    Raises UserError if the source cannot be listed completely.
    """
    allowed.require(collection.source, settings)
    if collection.index_format:
        listed = copy_index(connection, collection, store, settings, ask_urls=ask_urls)
    elif collection.lists_tars:
        listed = copy_tars(connection, collection, store)
    elif collection.format == "inventory":
        listed = copy_inventory(connection, collection, store, settings)
    else:
        listed = copy_prefix(connection, collection, store, pages)
    listings.analyse_listed(connection)
    return listed


def _require_few_gone(collection: Collection, listed: int, found: Differences) -> None:
    """Raise UserError if more images are missing than the collection allows."""
    known = listed - found.added + found.gone
    allowed = math.ceil(round(collection.deletion_limit * known, 6))
    if found.gone > allowed:
        raise UserError(
            f"{found.gone} of {known} images of collection {collection.name!r} are gone from {collection.source}, more "
            f"than its deletion_limit of {collection.deletion_limit:.0%}: nothing was changed; "
            "correct `source` or `glob`, or raise `deletion_limit` for one run"
        )


def _other_model(connection: Connection, collection: Collection) -> Collection | None:
    """The collection under the target model of an open switch."""
    found = switches.find_open(connection, collection.name)
    if found is None or found.to_model == collection.model.name:
        return None
    return models.under(connection, collection, found.to_model)


def _of_model(connection: Connection, collection: Collection, settings: Settings) -> dict[str, str]:
    """Create the model's row and vector table if they are missing. Returns the metadata for its manifests."""
    model = describe(model_folder(collection.model.source, collection.model.revision, settings, weights=False))
    digest = models.register_model(connection, collection, model)
    vector_tables.ensure_vector_table(connection, collection, model.dimensions)
    return manifest_facts(collection, model, digest, settings)


def manifest_facts(
    collection: Collection, model: ModelDescription, digest: str | None, settings: Settings
) -> dict[str, str]:
    """A manifest's metadata: what a shard must know about its model."""
    width, height = collection.resample.target_size or model.size
    probes = probes_uri(settings.work_uri, collection.name, collection.model.name)
    facts = {"width": str(width), "height": str(height), "probes": probes, **({"digest": digest} if digest else {})}
    return facts if collection.table_version is None else facts | {"table_version": str(collection.table_version)}


def write_manifests(
    batches: Iterable[list[ManifestRow]], layout: pa.Schema, first: Shard, settings: Settings, facts: dict[str, str]
) -> None:
    """Write the manifests of a run's shards, one per batch of rows."""
    store = ObjectStore(settings)
    for number, rows in enumerate(batches, first.number):
        manifest = replace(first, number=number).files(settings.work_uri).manifest
        with writing(store, manifest, layout, compression="zstd") as writer:
            writer.write_table(table_of(rows, layout))
            writer.add_key_value_metadata(facts)
