"""Index and report: the last stages of a run."""

import time
from typing import cast

import structlog

from image_retrieval.collection import Collection
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import NotDeleted, ObjectStore
from image_retrieval.pipeline.backfilling import Costs, costs
from image_retrieval.pipeline.calibrating import keep_calibrated
from image_retrieval.pipeline.caption_runs import finish_captions
from image_retrieval.pipeline.caption_vectors import keep_captions_embedded
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.settings import Settings
from image_retrieval.shards import caption_vectors_run, captions_run, captions_work, collection_folder, run_folder
from image_retrieval.store import captions, models, runs, vector_tables
from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.recall import ensure_recall
from image_retrieval.store.runs import RunReport

log = structlog.get_logger()


class FinishedRun(RunReport, Costs, total=False):
    """A run's report, its costs, and its missing shards; an unknown run has only its names and state.

    `captions_failed`: why its captioning ended early, if it did.
    """

    missing_shards: list[int]
    captions_failed: str


def run_is_known(collection: Collection, run_id: str, settings: Settings) -> bool:
    """Whether the run's listing was committed."""
    with connect(settings) as connection:
        return runs.read_run(connection, collection.name, run_id) is not None


def index_vectors(collection: Collection, run_id: str, settings: Settings) -> None:
    """Show the vectors in `images.<collection>`, and build or rebuild their index if needed.

    If the view shows another model's vectors, it keeps them until this model's are complete.
    """
    started = time.monotonic()
    declared = collection
    with connect(settings) as connection:
        collection = models.current(connection, declared)
    model = describe(model_folder(collection.model.source, collection.model.revision, settings, weights=False))
    plan = ensure_index(collection, settings)
    with connect(settings) as connection:
        run = runs.read_run(connection, collection.name, run_id)
        left_over = run is not None and run["left_over"] > 0
        complete = not left_over and not runs.missing_shards(connection, collection.name, run_id)
        known = vector_tables.lock_view(connection, collection)
        if models.current(connection, declared).model.name == (run and run["model"]) == collection.model.name:
            shown = vector_tables.show_in_view(connection, collection, model.dimensions, complete=complete)
        else:  # a switch replaced the model meanwhile
            shown = known.model if known else "nothing"
        seconds = time.monotonic() - started
        runs.set_index_seconds(connection, collection.name, run_id, seconds)
    log.info("indexed", decision=plan.reason, view_shows=shown, seconds=round(seconds, 2))


def measure_recall(collection: Collection, settings: Settings) -> None:
    """Measure the recall of searches, raise `ef_search` until it reaches the target, and fit the scores if needed."""
    with connect(settings) as connection:
        collection = models.shown(connection, collection)
    ensure_recall(collection, settings)
    keep_calibrated(collection, settings)


def finish_run(collection: Collection, run_id: str, settings: Settings) -> FinishedRun:
    """Count captions and their words, embed them, close the run in `retrieval.run`, and return its report.

    Its state is `failed` if a shard is missing. The work files of this run, of runs under way, and of captioning stay;
    those of other runs are deleted.
    """
    finish_captions(collection, run_id, settings)
    keep_captions_embedded(collection, settings)
    with connect(settings) as connection:
        missing = runs.missing_shards(connection, collection.name, run_id)
        captions.count_words(connection, collection.name)
        runs.finish_run(connection, collection.name, run_id, failed=bool(missing))
        running = runs.running_runs(connection, collection.name)
        report = runs.read_run(connection, collection.name, run_id)
        if report is None:
            names = {"collection": collection.name, "run_id": run_id}
            return cast(FinishedRun, {**names, "state": "failed", "missing_shards": []})
        require_own(connection, work_place(settings), ObjectStore(settings), claim=False)
    _clear_work(collection, [run_id, *running], settings)
    return cast(FinishedRun, {**report, **costs(report, settings), "missing_shards": missing})


def fail_run(collection: Collection, run_id: str, settings: Settings) -> None:
    """Close an aborted run in `retrieval.run`, if it exists and is still open. Its files stay."""
    with connect(settings) as connection:
        runs.fail_run(connection, collection.name, run_id)


def _clear_work(collection: Collection, kept_runs: list[str], settings: Settings) -> None:
    store = ObjectStore(settings)
    captioning = captions_work(settings.work_uri, collection.name)  # may be under way, and clears up after itself
    names = [name for run in kept_runs for name in (run, captions_run(run), caption_vectors_run(run))]
    kept = (captioning, *(run_folder(settings.work_uri, collection.name, name) for name in names))
    for page in store.pages(collection_folder(settings.work_uri, collection.name), missing_ok=True):
        try:
            store.delete([entry.uri for entry in page if not entry.uri.startswith(kept)])
        except NotDeleted as error:  # the run itself succeeded; the next one tries again
            log.warning("work files of former runs were not deleted", cause=str(error))
