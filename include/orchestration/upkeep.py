"""The bodies of the upkeep's tasks: each calls one step of the library."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from image_retrieval.errors import Dropped
from image_retrieval.settings import Settings
from orchestration.configuration import LABEL, MAP_LABEL, task_settings
from orchestration.failures import told_in_one_line

if TYPE_CHECKING:
    from image_retrieval.pipeline.upkeep import Kept


@contextmanager
def _step(name: str) -> Iterator[tuple["Kept", Settings]]:
    """The collection and the settings; log lines name the collection. Skips the task if it was dropped meanwhile."""
    from image_retrieval.pipeline.upkeep import kept_collections
    from image_retrieval.store.collections import dropped_meanwhile

    get_current_context()[LABEL] = name  # type: ignore[literal-required]
    with told_in_one_line(), structlog.contextvars.bound_contextvars(collection=name):
        settings = task_settings()
        kept = kept_collections(settings).get(name)
        if kept is None:
            raise AirflowSkipException("the collection was dropped meanwhile")
        try:
            with dropped_meanwhile(name, settings):
                yield kept, settings
        except Dropped as error:
            raise AirflowSkipException(str(error)) from None


@task(execution_timeout=timedelta(minutes=10))
def list_collections() -> list[str]:
    """The collections that have vectors: in collections.yaml, made through the API, or formerly in the file."""
    from image_retrieval.pipeline.upkeep import kept_collections

    with told_in_one_line():
        return sorted(kept_collections(task_settings()))


@task(execution_timeout=timedelta(hours=3))
def drop_expired_vectors() -> list[str]:
    """Drop expired vectors of former models. Returns the tables' names."""
    from image_retrieval.pipeline import models_in_use

    with told_in_one_line():
        return models_in_use.drop_expired_vectors(task_settings())


@task(execution_timeout=timedelta(hours=3))
def finish_changes() -> dict[str, int]:
    """Complete or undo interrupted changes of the object store; counts what is left."""
    from image_retrieval.pipeline import upkeep

    with told_in_one_line():
        return upkeep.finish_changes(task_settings())


@task(execution_timeout=timedelta(hours=6), map_index_template=MAP_LABEL)
def remove_deleted(collection: str) -> dict[str, Any]:
    """Remove images deleted long ago, and resampled pictures without an image; count orphans."""
    from image_retrieval.pipeline import upkeep

    with _step(collection) as (entry, settings):
        return dict(upkeep.remove_deleted(entry, settings))


@task(execution_timeout=timedelta(hours=12), map_index_template=MAP_LABEL)
def keep_index(collection: str) -> dict[str, Any]:
    """Build or rebuild the index, and vacuum, if needed; the log says why."""
    from image_retrieval.pipeline import upkeep

    with _step(collection) as (entry, settings):
        return dict(upkeep.keep_index(entry, settings))


@task(execution_timeout=timedelta(hours=12), map_index_template=MAP_LABEL)
def refresh_duplicates(collection: str) -> dict[str, int]:
    """Find the duplicates of new and changed images."""
    from image_retrieval.pipeline import upkeep

    with _step(collection) as (entry, settings):
        return upkeep.refresh_duplicates(entry, settings)


@task(execution_timeout=timedelta(hours=6), map_index_template=MAP_LABEL)
def keep_map(collection: str) -> dict[str, Any] | None:
    """Make or update the map."""
    from image_retrieval.pipeline import upkeep

    with _step(collection) as (entry, settings):
        done = upkeep.keep_map(entry, settings)
        return dict(done) if done else None


@task(execution_timeout=timedelta(hours=1), map_index_template=MAP_LABEL)
def keep_scores(collection: str) -> dict[str, str]:
    """Fit the scores of searches again if the collection has changed much."""
    from image_retrieval.pipeline import upkeep

    with _step(collection) as (entry, settings):
        return upkeep.keep_scores(entry, settings)
