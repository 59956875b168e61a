"""Switches of a collection from one model to another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from image_retrieval.shards import ManifestRow
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.model_comparison import Comparison
from image_retrieval.store.rows import fetch_all, fetch_batches, fetch_column, fetch_one, fetch_optional
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Switch:
    """An open switch."""

    id: int
    from_model: str
    to_model: str


@dataclass(frozen=True, slots=True)
class LatestSwitch:
    """The switch to the model that the view shows; `kept`: the former model's vectors still exist."""

    id: int
    from_model: str
    to_model: str
    kept: bool


class Checks(Comparison, total=False):
    """The figures of both models, as `retrieval.switch.checks` keeps them: images as in `Coverage`, recall@10."""

    images: int
    covered: int
    rejected: int
    recall: dict[str, float]


@dataclass(frozen=True, slots=True)
class FinishedSwitch:
    """A finished switch, with the last figures of both models."""

    from_model: str
    to_model: str
    checks: Checks | None


@dataclass(frozen=True, slots=True)
class SwitchDue:
    """The number of images without a vector under the other model; `anew`: those of them without a kept picture."""

    due: int
    anew: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """The numbers of images in the view, and of those with a vector or a final rejection under the other model."""

    images: int
    covered: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """A model under which a collection has vectors.

    `left_at`: when a switch last replaced it or ended. `calibration`: the model's own; `fitted_at`: when its scores
    were fitted on the collection.
    """

    collection: str
    model: str
    dimensions: int
    family: str
    source: str
    shown: bool
    overrules: str | None
    incoming: bool
    left_at: datetime | None
    calibration: Any
    fitted_at: datetime | None


def find_open(connection: Connection, collection: str) -> Switch | None:
    """The open switch of a collection, or None."""
    return fetch_optional(connection, Switch, statement("switches", "find_open"), {"collection": collection})


def open_switch(connection: Connection, collection: str, from_model: str, to_model: str) -> None:
    """Open a switch unless it is open already; cancel an open one to another model."""
    found = find_open(connection, collection)
    if found is None or (found.from_model, found.to_model) != (from_model, to_model):
        give_up(connection, collection)
        connection.execute(statement("switches", "open_switch"), _names(collection, from_model, to_model))


def give_up(connection: Connection, collection: str) -> bool:
    """Cancel the open switch. Returns whether there was one."""
    return connection.execute(statement("switches", "give_up"), {"collection": collection}).rowcount > 0


def record(connection: Connection, collection: str, from_model: str, to_model: str) -> None:
    """Record that the view shows another model: in the open switch, or else as a switch of its own."""
    connection.execute(statement("switches", "record"), _names(collection, from_model, to_model))


def release(connection: Connection, collection: str, declared: str) -> None:
    """Let collections.yaml decide again, if it names a model other than the one that a switch replaced."""
    connection.execute(statement("switches", "release"), {"collection": collection, "declared": declared})


def overrule(connection: Connection, collection: str, declared: str) -> None:
    """Record that a switch overrules the model of collections.yaml, if the view shows another one."""
    connection.execute(statement("switches", "overrule"), {"collection": collection, "declared": declared})


def find_latest(connection: Connection, collection: str) -> LatestSwitch | None:
    """The switch that a rollback would undo."""
    return fetch_optional(connection, LatestSwitch, statement("switches", "find_undone"), {"collection": collection})


def mark_rolled_back(connection: Connection, number: int) -> None:
    """Record that a switch was undone."""
    connection.execute(statement("switches", "roll_back"), {"id": number})


def find_finished(connection: Connection, collection: str, to_model: str) -> FinishedSwitch | None:
    """The latest finished switch to a model."""
    names = {"collection": collection, "to_model": to_model}
    return fetch_optional(connection, FinishedSwitch, statement("switches", "find_switched"), names)


def write_checks(connection: Connection, number: int, checks: Checks) -> None:
    """Record the figures of both models."""
    connection.execute(statement("switches", "write_checks"), {"id": number, "checks": Jsonb(checks)})


def find_due(connection: Connection, shown: VectorSpace, target: VectorSpace) -> SwitchDue:
    """Put the images without a vector under the target into the temporary table `due`."""
    query = statement("switches", "create_due", vectors=shown.vector_table, target=target.vector_table)
    connection.execute(query, {"to_model": target.model})
    return fetch_one(connection, SwitchDue, statement("switches", "count_due"))


def read_due(connection: Connection, size: int) -> Iterator[list[ManifestRow]]:
    """The rows of `due` in order of their URIs, `size` at a time, with a manifest's columns."""
    return fetch_batches(connection, ManifestRow, statement("switches", "read_due"), size=size)


def count_covered(connection: Connection, shown: VectorSpace, target: VectorSpace) -> Coverage:
    """The number of images in the view that the target covers."""
    query = statement("switches", "count_covered", vectors=shown.vector_table, target=target.vector_table)
    return fetch_one(connection, Coverage, query, {"to_model": target.model})


def lock_present(connection: Connection, ids: Sequence[int], etags: Sequence[str]) -> list[int]:
    """The images that still have these versions; they keep them until the transaction ends."""
    given = {"ids": list(ids), "etags": list(etags), "min": min(ids), "max": max(ids)}
    return fetch_column(connection, statement("switches", "lock_present"), given)


def list_models(connection: Connection) -> list[ModelInUse]:
    """The models under which each collection has vectors, the shown one first."""
    return fetch_all(connection, ModelInUse, statement("switches", "list_models"))


def find_expired(connection: Connection, days: float) -> list[VectorSpace]:
    """Vectors that no view shows, no open switch targets, and no run has written for `days`."""
    return fetch_all(connection, VectorSpace, statement("switches", "find_expired"), {"days": days})


def _names(collection: str, from_model: str, to_model: str) -> dict[str, str]:
    return {"collection": collection, "from_model": from_model, "to_model": to_model}
