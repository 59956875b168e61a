"""Collections in the database: those that have a view, and those made through the API."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import psycopg
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from image_retrieval.collection import Collection, Dtype, ModelOptions
from image_retrieval.errors import Dropped, UserError
from image_retrieval.settings import Settings
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.rows import fetch_all, fetch_column, fetch_one, fetch_optional, fetch_value
from image_retrieval.store.runs import RunReport, latest_runs, read_run
from image_retrieval.store.sql import statement

# raised when a table, a function or a row has been dropped meanwhile
MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction, psycopg.errors.ForeignKeyViolation)


class CollectionStats(TypedDict):
    """The counts of a collection."""

    images: int
    deleted: int
    vectors: int
    rejected: int
    dimensions: int
    model: str
    last_run: RunReport | None


@dataclass(frozen=True, slots=True)
class _Counts:
    images: int
    deleted: int
    vectors: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Known:
    """A collection that has a view: the place of its originals, its vectors, and the model of its captions' vectors."""

    name: str
    source: str
    model: str
    dimensions: int
    text_model: str | None

    @property
    def models(self) -> tuple[str | None, ...]:
        """The models that searches of it may ask."""
        return self.model, self.text_model


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A collection that has a view, with the model whose vectors the view shows."""

    name: str
    source: str
    dimensions: int
    model: str
    model_source: str
    revision: str | None
    dtype: Dtype | None
    use_cls_token: bool
    digest: str | None
    family: str
    calibration: Any
    fitted: Any
    text_model: str | None


def known_collections(connection: Connection) -> list[Known]:
    """The collections that have a view, in order of their names."""
    return fetch_all(connection, Known, statement("collections", "known_collections"))


def collection_names(connection: Connection) -> list[str]:
    """The names of the collections that have a view, in order."""
    return [known.name for known in known_collections(connection)]


def models_with_vectors(connection: Connection, name: str) -> list[str]:
    """The models under which a collection has vectors, the shown one first."""
    return fetch_column(connection, statement("collections", "models_with_vectors"), {"name": name})


def find_shown(connection: Connection, name: str, model: str | None = None) -> ShownRow | None:
    """A collection that has a view, or None if there is none of that name."""
    wanted = {"name": name, "model": model}
    return fetch_optional(connection, ShownRow, statement("collections", "find_shown"), wanted)


def collection_stats(connection: Connection) -> dict[str, CollectionStats]:
    """The counts of each collection that has a view."""
    stats = {}
    for known in known_collections(connection):
        query = statement("collections", "count_images", vectors=VectorSpace(known.name, known.model).vector_table)
        counts = fetch_one(connection, _Counts, query, {"collection": known.name})
        last_run = next((read_run(connection, known.name, run) for run in latest_runs(connection, known.name)), None)
        stats[known.name] = CollectionStats(
            images=counts.images,
            deleted=counts.deleted,
            vectors=counts.vectors,
            rejected=counts.rejected,
            dimensions=known.dimensions,
            model=known.model,
            last_run=last_run,
        )
    return stats


def has_remains(connection: Connection, name: str) -> bool:
    """Whether a former entry of that name left images or vectors."""
    return bool(fetch_value(connection, statement("collections", "has_remains"), {"name": name}))


def record_made(connection: Connection, collection: Collection) -> bool:
    """Record a collection made through the API. Returns whether the name was free."""
    row = {"name": collection.name, "definition": Jsonb(collection.model_dump(mode="json", exclude={"name"}))}
    return connection.execute(statement("collections", "make_collection"), row).rowcount == 1


def made_collection(connection: Connection, name: str) -> Collection | None:
    """A collection made through the API, or None if there is none of that name."""
    made = _find_made(connection, name)
    return made.collection if made else None


@dataclass(frozen=True, slots=True)
class _Made:
    """A collection by its definition, without the keys `unread`, which this version does not know."""

    collection: Collection
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _MadeRow:
    name: str
    definition: Any


def _find_made(connection: Connection, name: str) -> _Made | None:
    row = fetch_optional(connection, _MadeRow, statement("collections", "find_made"), {"name": name})
    return _made(name, row.definition) if row else None


def _made(name: str, definition: Any) -> _Made | None:
    """The collection of a definition, or None if even its source or model is missing."""
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
    """The keys of an API collection's definition that this version does not know."""
    made = _find_made(connection, name)
    return made.unread if made else ()


@dataclass(frozen=True, slots=True)
class _Stored:
    name: str
    source: str
    definition: dict[str, Any] | None
    model: str
    model_source: str
    revision: str | None
    dtype: Dtype | None
    use_cls_token: bool


def stored_collections(connection: Connection) -> dict[str, Collection]:
    """The collections that have a view, each as defined at its last run, under the model that its view shows.

    Options that the tables do not hold, because the last run is old, get their defaults.
    """
    rows = fetch_all(connection, _Stored, statement("collections", "find_stored"))
    return {row.name: _collection_of(row) for row in rows}


def _collection_of(row: _Stored) -> Collection:
    model = ModelOptions.model_construct(  # whatever the table holds is shown
        name=row.model,
        source=row.model_source,
        revision=row.revision,
        dtype=row.dtype or "float32",
        use_cls_token=row.use_cls_token,
    )
    essentials: dict[str, Any] = {"source": row.source, "model": model}
    try:
        collection = Collection(name=row.name, **(row.definition or essentials))
    except (ValidationError, TypeError):  # written by a version with other keys, or by hand
        collection = Collection.model_construct(name=row.name, **essentials)
    return collection.model_copy(update={"model": model})


@contextmanager
def dropped_meanwhile(collection: str, settings: Settings) -> Iterator[None]:
    """Raise Dropped if a table or row is missing because the collection was dropped meanwhile."""
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
    """The collections made through the API, by name."""
    rows = fetch_all(connection, _MadeRow, statement("collections", "made_collections"))
    found = {row.name: _made(row.name, row.definition) for row in rows}
    return {name: made.collection for name, made in found.items() if made}


def has_captions(connection: Connection, collection: str, *, looked_at: int = 1000) -> bool:
    """Whether a collection shows captions of a model, or one of its first images, as many as `looked_at`, has one."""
    given = {"collection": collection, "looked_at": looked_at}
    return bool(fetch_value(connection, statement("collections", "has_captions"), given))
