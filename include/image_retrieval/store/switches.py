"""Switches of a collection from one model to another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_column, fetch_one, fetch_optional
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch that is open."""

    id: int
    from_model: str
    to_model: str


@dataclass(frozen=True, slots=True)
class LatestSwitch:
    """The switch that made the view show what it shows; `kept`: the former model's vectors are still there."""

    id: int
    from_model: str
    to_model: str
    kept: bool


@dataclass(frozen=True, slots=True)
class FinishedSwitch:
    """A switch that is done, with the figures of both models as last measured."""

    from_model: str
    to_model: str
    checks: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class SwitchDue:
    """How many images have no vector under the other model yet; `anew`: of these, those whose picture is not kept."""

    due: int
    anew: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many images are shown, how many of them have a vector under the other model, or a final rejection by it."""

    images: int
    covered: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """A model that a collection has vectors of; `left_at`: when a switch last took it away or ended."""

    collection: str
    model: str
    dimensions: int
    source: str
    shown: bool
    overrules: str | None
    incoming: bool
    left_at: datetime | None


def find_open(connection: Connection, collection: str) -> Switch | None:
    """The switch of a collection that is open."""
    return fetch_optional(connection, Switch, statement("switches", "find_open"), {"collection": collection})


def open_switch(connection: Connection, collection: str, from_model: str, to_model: str) -> None:
    """Open a switch, where the same one is not open already; one to another model is given up."""
    found = find_open(connection, collection)
    if found is None or (found.from_model, found.to_model) != (from_model, to_model):
        give_up(connection, collection)
        connection.execute(statement("switches", "open_switch"), _names(collection, from_model, to_model))


def give_up(connection: Connection, collection: str) -> bool:
    """End the open switch without having switched. Returns whether there was one."""
    return connection.execute(statement("switches", "give_up"), {"collection": collection}).rowcount > 0


def record(connection: Connection, collection: str, from_model: str, to_model: str) -> None:
    """Record that the view shows another model: by the switch that is open, or else by one of its own."""
    connection.execute(statement("switches", "record"), _names(collection, from_model, to_model))


def release(connection: Connection, collection: str, declared: str) -> None:
    """Let collections.yaml hold again, where it names another model than the one that a switch put aside."""
    connection.execute(statement("switches", "release"), {"collection": collection, "declared": declared})


def overrule(connection: Connection, collection: str, declared: str) -> None:
    """Put the model that collections.yaml declares aside, where the view shows another one."""
    connection.execute(statement("switches", "overrule"), {"collection": collection, "declared": declared})


def find_latest(connection: Connection, collection: str) -> LatestSwitch | None:
    """The switch that a rollback would undo."""
    return fetch_optional(connection, LatestSwitch, statement("switches", "find_undone"), {"collection": collection})


def mark_rolled_back(connection: Connection, number: int) -> None:
    """Record that a switch was undone."""
    connection.execute(statement("switches", "roll_back"), {"id": number})


def find_finished(connection: Connection, collection: str, to_model: str) -> FinishedSwitch | None:
    """The latest switch to a model that is done."""
    names = {"collection": collection, "to_model": to_model}
    return fetch_optional(connection, FinishedSwitch, statement("switches", "find_switched"), names)


def write_checks(connection: Connection, number: int, checks: dict[str, Any]) -> None:
    """Record the figures of both models."""
    connection.execute(statement("switches", "write_checks"), {"id": number, "checks": Jsonb(checks)})


def find_due(connection: Connection, shown: VectorSpace, target: VectorSpace) -> SwitchDue:
    """Put the images that the target has no vectors of into the temporary table `due`."""
    query = statement("switches", "create_due", vectors=shown.vector_table, target=target.vector_table)
    connection.execute(query, {"to_model": target.model})
    return fetch_one(connection, SwitchDue, statement("switches", "count_due"))


def read_due(connection: Connection, size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of `due` in order of their URIs, `size` at a time, as a manifest has them."""
    with connection.cursor(name="due") as cursor:
        cursor.execute(statement("switches", "read_due"))
        while rows := cursor.fetchmany(size):
            yield rows


def count_covered(connection: Connection, shown: VectorSpace, target: VectorSpace) -> Coverage:
    """How many of the images that are shown the target covers."""
    query = statement("switches", "count_covered", vectors=shown.vector_table, target=target.vector_table)
    return fetch_one(connection, Coverage, query, {"to_model": target.model})


def lock_present(connection: Connection, ids: Sequence[int], etags: Sequence[str]) -> list[int]:
    """Those of these images that are still of these versions, and stay so until the transaction ends."""
    given = {"ids": list(ids), "etags": list(etags), "min": min(ids), "max": max(ids)}
    return fetch_column(connection, statement("switches", "lock_present"), given)


def list_models(connection: Connection) -> list[ModelInUse]:
    """The models that each collection has vectors of, the shown one first."""
    return fetch_all(connection, ModelInUse, statement("switches", "list_models"))


def find_expired(connection: Connection, days: float) -> list[VectorSpace]:
    """Vectors that no view shows, no switch brings in, and no run has fed for so many days."""
    return fetch_all(connection, VectorSpace, statement("switches", "find_expired"), {"days": days})


def _names(collection: str, from_model: str, to_model: str) -> dict[str, str]:
    return {"collection": collection, "from_model": from_model, "to_model": to_model}
