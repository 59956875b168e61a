"""What the tables say of runs and collections."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row
from pydantic import ValidationError

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import Dropped, UserError
from image_retrieval.settings import Settings
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.sql import statement

# what is raised where a table, a function or a row that was there is there no more
MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction, psycopg.errors.ForeignKeyViolation)
STAGES = ("list", "resample", "embed", "upsert", "index")


def read_run(connection: Connection, collection: str, run_id: str) -> dict[str, Any] | None:
    """One run: its counts summed over its shards, and `seconds` per stage."""
    row = connection.execute(statement("report", "read_run"), {"collection": collection, "run_id": run_id}).fetchone()
    if row is None:
        return None
    seconds = {stage: round(row.pop(f"{stage}_seconds") or 0.0, 3) for stage in STAGES}
    return {**row, "seconds": seconds}


def missing_shards(connection: Connection, collection: str, run_id: str) -> list[int]:
    """Shards of a run's plan that are not in the table."""
    rows = connection.execute(statement("report", "missing_shards"), {"collection": collection, "run_id": run_id})
    return [row["number"] for row in rows]


def collection_stats(connection: Connection) -> dict[str, Any]:
    """Per collection: images, deleted, rejected, vectors, dimensions, model, and its last run."""
    stats = {}
    for row in connection.execute(statement("report", "known_collections")).fetchall():
        name, table = row["name"], VectorSpace(row["name"], row["model"]).vector_table
        counts = connection.execute(statement("report", "count_images", vectors=table), {"collection": name}).fetchone()
        latest = connection.execute(statement("report", "latest_run"), {"collection": name}).fetchone()
        last_run = read_run(connection, name, latest["run_id"]) if latest else None
        stats[name] = {**(counts or {}), "dimensions": row["dimensions"], "model": row["model"], "last_run": last_run}
    return stats


def made_collection(connection: Connection, name: str) -> Collection | None:
    """One that was made through the API; None where none of that name was."""
    row = connection.execute(statement("service", "find_made"), {"name": name}).fetchone()
    made = _made(name, row["definition"]) if row else None
    return made.collection if made else None


@dataclass(frozen=True, slots=True)
class _Made:
    """A collection as its definition has it, but for the keys `unread`, which this version does not take."""

    collection: Collection
    unread: tuple[str, ...] = ()


def _made(name: str, definition: Any) -> _Made | None:
    """None where a definition does not even tell where pictures lie, and what model they have."""
    kept: dict[str, Any] = definition if isinstance(definition, dict) else {}
    unread: tuple[str, ...] = ()
    for _ in range(2):
        try:
            return _Made(Collection(name=name, **kept), unread)
        except (ValidationError, TypeError) as error:
            wrong = {str(found["loc"][0]) for found in error.errors()} if isinstance(error, ValidationError) else set()
            unread = tuple(sorted(wrong))
            kept = {key: value for key, value in kept.items() if key not in wrong}
    return None


def unread_keys(connection: Connection, name: str) -> tuple[str, ...]:
    """What the definition of a collection that was made through the API says, and this version does not take."""
    row = connection.execute(statement("service", "find_made"), {"name": name}).fetchone()
    made = _made(name, row["definition"]) if row else None
    return made.unread if made else ()


@dataclass(frozen=True, slots=True)
class Known:
    """A collection that has a view: where its originals lie, and what its vectors are."""

    name: str
    source: str
    model: str
    dimensions: int


def known_collections(connection: Connection) -> list[Known]:
    """The collections that have a view, in order of their names."""
    with connection.cursor(row_factory=class_row(Known)) as cursor:
        return cursor.execute(statement("report", "known_collections")).fetchall()


@dataclass(frozen=True, slots=True)
class _Stored:
    name: str
    source: str
    definition: dict[str, Any] | None
    model: str
    model_source: str
    revision: str | None
    dtype: Literal["float32", "float16", "bfloat16"] | None
    use_cls_token: bool


def stored_collections(connection: Connection) -> dict[str, Collection]:
    """The collections that have a view, each as it was at its last run, under the model that is shown.

    What the tables do not tell of one that has not been run for long is left to its default.
    """
    with connection.cursor(row_factory=class_row(_Stored)) as cursor:
        rows = cursor.execute(statement("service", "find_stored")).fetchall()
    return {row.name: _collection_of(row) for row in rows}


def _collection_of(row: _Stored) -> Collection:
    model = ModelOptions.model_construct(  # whatever the table holds is shown
        name=row.model,
        source=row.model_source,
        revision=row.revision,
        dtype=row.dtype or "float32",
        use_cls_token=row.use_cls_token,
    )
    told: dict[str, Any] = {"source": row.source, "model": model}
    try:
        collection = Collection(name=row.name, **(row.definition or told))
    except (ValidationError, TypeError):  # of a version with other keys, or of somebody's hand
        collection = Collection.model_construct(name=row.name, **told)
    return collection.model_copy(update={"model": model})


@contextmanager
def dropped_meanwhile(collection: str, settings: Settings) -> Iterator[None]:
    """Tell of a table or row that is missing because the collection was dropped since. Raises Dropped for it."""
    try:
        yield
    except UserError as error:
        if not isinstance(error.__cause__, MISSING):
            raise
        with connect(settings) as connection:
            if collection in stored_collections(connection):
                raise
        raise Dropped(f"collection {collection!r} was dropped meanwhile") from None


def made_collections(connection: Connection) -> dict[str, Collection]:
    """Those that were made through the API."""
    rows = connection.execute(statement("service", "made_collections")).fetchall()
    found = {row["name"]: _made(row["name"], row["definition"]) for row in rows}
    return {name: made.collection for name, made in found.items() if made}
