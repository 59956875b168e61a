"""Switch: moves a collection to another model, and back, while people search.

The other model's vectors are made beside the present ones, from the kept pictures. While the switch is open, runs fill
both tables. Then one transaction lets the view show the other table.
"""

import math
import time
from dataclasses import asdict
from typing import Any, TypedDict

import structlog
from pydantic import ValidationError

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.calibrating import keep_calibrated
from image_retrieval.pipeline.finishing import finish_run
from image_retrieval.pipeline.listing import manifest_facts, require_ready, write_manifests
from image_retrieval.pipeline.moving import follow_model
from image_retrieval.pipeline.running import Progress, run_shards
from image_retrieval.settings import Settings
from image_retrieval.shards import KEPT_MANIFEST, Shard, run_folder
from image_retrieval.store import models, runs, switches, vector_tables
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.locks import insist, lock_collection, wait_shortly
from image_retrieval.store.model_comparison import compare_models
from image_retrieval.store.recall import ensure_recall
from image_retrieval.store.runs import RunPlan
from image_retrieval.store.switches import Checks, SwitchDue

ROUNDS = 5  # of one command; each embeds the images that came during the previous one

log = structlog.get_logger()


class Uncovered(UserError):
    """Some images have no vector under the other model yet."""


_Sides = TypedDict("_Sides", {"from": str, "to": str}, total=False)


class Figures(_Sides, Checks, total=False):
    """The models that a collection is switched `from` and `to`, and what they find, as far as that is known."""


class RolledBack(TypedDict):
    """The models that the view showed and shows."""

    before: str
    now: str


def switch_collection(
    collection: Collection,
    model: ModelOptions,
    run_id: str,
    settings: Settings,
    *,
    device: str = "cpu",
    progress: Progress = lambda stage, done: None,
) -> Figures:
    """Embed a collection under another model, check the result, and let its view show it. Returns both models' figures.

    Finished work is not repeated, even if the command was killed. Raises UserError.
    """
    with structlog.contextvars.bound_contextvars(collection=collection.name, run=run_id):
        figures: Figures = {}
        for number in range(ROUNDS):
            name = f"{run_id}__{number}"
            plan_switch(collection, model, name, settings)
            run_shards(collection, name, settings, device=device, progress=progress)
            finish_run(collection, name, settings)
            figures = figures or check_switch(collection, model.name, settings)
            try:
                complete_switch(collection, model.name, settings)
            except Uncovered as error:
                if number == ROUNDS - 1:
                    raise
                log.info(str(error))
            else:
                break
    return figures


def wanted_model(
    collection: Collection, name: str, settings: Settings, *, source: str | None, **options: Any
) -> ModelOptions:
    """The requested model; without a source, one that the collection's entry or the database knows.

    Options that are None get their defaults. Raises UserError.
    """
    if source is None:
        with connect(settings) as connection:
            return models.under(connection, collection, name).model
    given = {key: value for key, value in options.items() if value is not None}
    try:
        return ModelOptions(name=name, source=source, batch_size=collection.model.batch_size, **given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{first['loc'][0]} {first['input']!r} of the model: {first['msg']}") from None


def plan_switch(
    collection: Collection, model: ModelOptions, run_id: str, settings: Settings, *, shard_size: int | None = None
) -> RunPlan:
    """Open or continue the switch to a model, and write a manifest per shard of the images without a vector under it.

    A run of that name that is still running keeps its plan. A switch to a third model is cancelled. Raises UserError if
    the collection has no vectors, or if `collections.yaml` is already introducing another model.
    """
    started = time.monotonic()
    store = ObjectStore(settings)
    with connect(settings) as connection:
        require_ready(connection, collection, store, settings)
        lock_collection(connection, collection.name)
        known = runs.find_plan(connection, collection.name, run_id)
        if known is not None:
            log.info("the run keeps its plan", **asdict(known))
            return known
        shown = _shown(connection, collection)
        found = SwitchDue(0, 0)
        number = None
        facts: dict[str, str] = {}
        target = collection.model_copy(update={"model": model})
        if shown.model.name != model.name:
            _require_settled(connection, collection, shown, model)
            description = describe(model_folder(model.source, model.revision, settings, weights=False))
            digest = models.register_model(connection, target, description)
            facts = manifest_facts(target, description, digest, settings)
            follow_model(connection, target, settings)  # runs that embed under it read its place from the database
            vector_tables.ensure_vector_table(connection, target, description.dimensions)
            switches.open_switch(connection, collection.name, shown.model.name, model.name)
            number = _open(connection, collection, model.name)
            found = switches.find_due(connection, shown.space, target.space)
        size = max(shard_size or collection.shard_size, math.ceil(found.due / collection.max_shards))
        plan = RunPlan(
            listed=found.due,
            new=found.due,
            changed=0,
            restored=0,
            gone=0,
            shards=math.ceil(found.due / size),
            left_over=0,
        )
        if plan.shards:
            store.delete_under(run_folder(settings.work_uri, collection.name, run_id))
            batches = switches.read_due(connection, size)
            write_manifests(batches, KEPT_MANIFEST, Shard(collection.name, run_id, 0), settings, facts)
        seconds = time.monotonic() - started
        runs.record_plan(connection, collection.name, run_id, plan, model=model.name, switch=number, seconds=seconds)
    log.info("switch planned", to=model.name, images=found.due, without_kept_picture=found.anew, shards=plan.shards)
    return plan


def check_switch(collection: Collection, model: str, settings: Settings) -> Figures:
    """Index the other model's vectors, measure both models side by side, and fit the other's scores if needed.

    Records and returns the figures; for a finished switch, the recorded ones.
    """
    with connect(settings) as connection:
        shown = _shown(connection, collection)
        if shown.model.name == model:
            done = switches.find_finished(connection, collection.name, model)
            if done is None:
                return {"to": model}
            return {"from": done.from_model, "to": model, **(done.checks or Checks())}
        number = _open(connection, collection, model)
        target = models.under(connection, collection, model)
    ensure_index(target, settings)
    recalls = {entry.model.name: ensure_recall(entry, settings) for entry in (shown, target)}
    with connect(settings) as connection:
        counts = switches.count_covered(connection, shown.space, target.space)
        checks: Checks = {
            "images": counts.images,
            "covered": counts.covered,
            "rejected": counts.rejected,
            "recall": {name: found.recall if found else 1.0 for name, found in recalls.items()},
            **compare_models(connection, shown, target),
        }
        switches.write_checks(connection, number, checks)
    figures: Figures = {"from": shown.model.name, "to": model, **checks}
    log.info("models side by side", **figures)
    keep_calibrated(target, settings)
    return figures


def complete_switch(collection: Collection, model: str, settings: Settings) -> None:
    """Let the view show the other model's vectors, in one transaction. Does nothing if it already does.

    Raises Uncovered if an image in the view has no vector of its present version there, and UserError if no such switch
    is open.
    """
    insist(collection.name, lambda: _complete(collection, model, settings))


def _complete(collection: Collection, model: str, settings: Settings) -> None:
    with connect(settings) as connection:
        lock_collection(connection, collection.name)
        shown = _shown(connection, collection)
        if shown.model.name == model:
            log.info("the collection is already switched", to=model)
            return
        _open(connection, collection, model)
        target = models.under(connection, collection, model)
        counts = switches.count_covered(connection, shown.space, target.space)
        missing = counts.images - counts.covered - counts.rejected
        if missing:
            raise Uncovered(
                f"{missing} of {counts.images} images of collection {collection.name!r} have no vector under model "
                f"{model!r} yet: the switch stays open; run it again"
            )
        _show(connection, collection, target)
        switches.record(connection, collection.name, shown.model.name, model)
    log.info("switched", before=shown.model.name, now=model, **asdict(counts))
    if collection.model.name != model:
        log.info("collections.yaml still names the former model: the switch holds until it names another", model=model)


def roll_back(collection: Collection, settings: Settings) -> RolledBack:
    """Undo a collection's latest switch: cancel it if it is open, else show the former model, in one transaction.

    Raises UserError where there is none to undo, and where the former vectors are gone.
    """
    return insist(collection.name, lambda: _roll_back(collection, settings))


def _roll_back(collection: Collection, settings: Settings) -> RolledBack:
    with connect(settings) as connection:
        lock_collection(connection, collection.name)
        shown = _shown(connection, collection)
        if switches.give_up(connection, collection.name):
            log.info("the switch was cancelled", stays=shown.model.name)
            return {"before": shown.model.name, "now": shown.model.name}
        latest = switches.find_latest(connection, collection.name)
        if latest is None:
            raise UserError(f"collection {collection.name!r} was not switched: there is no model to roll back to")
        former = latest.from_model
        if not latest.kept:
            raise UserError(
                f"the vectors of collection {collection.name!r} under model {former!r} were dropped after "
                f"{settings.keep_vectors_days:g} days: switch to that model instead"
            )
        _show(connection, collection, models.under(connection, collection, former))
        switches.mark_rolled_back(connection, latest.id)
    log.info("rolled back", before=shown.model.name, now=former)
    return {"before": shown.model.name, "now": former}


def give_up_switch(collection: Collection, settings: Settings) -> None:
    """Cancel the open switch, if there is one."""
    with connect(settings) as connection:
        lock_collection(connection, collection.name)
        switches.give_up(connection, collection.name)
    log.info("the switch was cancelled")


def _shown(connection: Connection, collection: Collection) -> Collection:
    """The collection under the model that its view shows. Raises UserError if it has no view yet."""
    if vector_tables.lock_view(connection, collection) is None:
        raise UserError(
            f"collection {collection.name!r} has no vectors yet: run `image-retrieval run {collection.name}`"
        )
    return models.shown(connection, collection)


def _require_settled(connection: Connection, collection: Collection, shown: Collection, model: ModelOptions) -> None:
    """Raise UserError if the file names a third model, to which runs are already moving the collection."""
    named = models.current(connection, collection).model.name
    if named not in (shown.model.name, model.name):
        raise UserError(
            f"collections.yaml names model {named!r} for collection {collection.name!r}, and its runs embed with it: "
            f"let one finish, or name {shown.model.name!r} there again"
        )


def _open(connection: Connection, collection: Collection, model: str) -> int:
    """The number of the open switch to a model. Raises UserError if there is none."""
    found = switches.find_open(connection, collection.name)
    if found is None or found.to_model != model:
        raise UserError(f"no switch of collection {collection.name!r} to model {model!r} is open: it was cancelled")
    return found.id


def _show(connection: Connection, collection: Collection, target: Collection) -> None:
    """Show the target instead of the present model, and record it. Raises UserError if searches hold the view."""
    known = vector_tables.lock_view(connection, collection)
    assert known is not None
    model = models.find_model(connection, target.model.name)
    assert model is not None
    wait_shortly(connection)
    vector_tables.replace_view(connection, target, model.dimensions, known)
    switches.overrule(connection, collection.name, collection.model.name)
