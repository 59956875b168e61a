"""Runs and their shards: plan, progress and result."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypedDict, cast

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_column, fetch_optional
from image_retrieval.store.sql import statement

STAGES = ("list", "resample", "embed", "upsert", "index")


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The numbers of images that a listing found, and of shards; `left_over` images did not fit into the shards.

    `rejected` counts the objects whose names no table can hold.
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
class RunModels:
    """The models of a run's shards; `switch` is the number of the switch that the run belongs to."""

    model: str
    also: str | None
    switch: int | None
    shards: int


class RunReport(TypedDict):
    """A run: its counts summed over its shards, and `seconds` per stage.

    `seconds_left` and `embed_seconds_left`: estimates for the images that are left of this run and for those that it
    left over, at its pace; None as long as it has no shard in the table. `captions`: those written; `captions_due`:
    images that still lack one; None if it captioned nothing.
    """

    collection: str
    run_id: str
    state: str
    model: str
    listed: int
    new: int
    changed: int
    restored: int
    gone: int
    shards: int
    left_over: int
    shards_done: int
    resampled: int
    embedded: int
    upserted: int
    rejected: int
    captions: int | None
    captions_due: int | None
    started_at: datetime
    finished_at: datetime | None
    seconds_left: float | None
    embed_seconds_left: float | None
    seconds: dict[str, float]


def find_plan(connection: Connection, collection: str, run_id: str) -> RunPlan | None:
    """The plan of a run that is still running, or None."""
    return fetch_optional(connection, RunPlan, statement("runs", "find_plan"), _key(collection, run_id))


def record_plan(
    connection: Connection,
    collection: str,
    run_id: str,
    plan: RunPlan,
    *,
    model: str,
    also: str | None = None,
    switch: int | None = None,
    seconds: float,
) -> None:
    """Record a run, replacing an earlier one of that name. `seconds`: the time that planning took."""
    key = _key(collection, run_id)
    connection.execute(statement("runs", "forget_run"), key)
    row = {**key, **asdict(plan), "model": model, "also": also, "switch": switch, "seconds": seconds}
    connection.execute(statement("runs", "write_run"), row)


def find_run(connection: Connection, collection: str, run_id: str) -> RunModels:
    """The models of a run. Raises UserError if there is no such run."""
    found = fetch_optional(connection, RunModels, statement("runs", "find_run"), _key(collection, run_id))
    if found is None:
        raise UserError(f"collection {collection!r} has no run {run_id!r}: `list` creates one")
    return found


def read_run(connection: Connection, collection: str, run_id: str) -> RunReport | None:
    """A run's report."""
    row = connection.execute(statement("runs", "read_run"), _key(collection, run_id)).fetchone()
    if row is None:
        return None
    seconds = {stage: round(row.pop(f"{stage}_seconds") or 0.0, 3) for stage in STAGES}
    return cast(RunReport, {**row, "seconds": seconds})


def missing_shards(connection: Connection, collection: str, run_id: str) -> list[int]:
    """The shards of a run's plan that are not loaded."""
    return fetch_column(connection, statement("runs", "missing_shards"), _key(collection, run_id))


def count_recent(connection: Connection, collection: str) -> int:
    """The number of a collection's runs that started within the last 24 hours, without those of switches."""
    return int(fetch_column(connection, statement("runs", "count_recent"), {"collection": collection})[0])


def set_index_seconds(connection: Connection, collection: str, run_id: str, seconds: float) -> None:
    """Record the time that a run's view and index took."""
    connection.execute(statement("runs", "set_index_seconds"), {**_key(collection, run_id), "seconds": seconds})


def record_captions(connection: Connection, collection: str, run_id: str, model: str, due: int) -> None:
    """Record how many captions a captioner wrote during a run, and how many images still lack one."""
    connection.execute(statement("runs", "record_captions"), {**_key(collection, run_id), "model": model, "due": due})


def finish_run(connection: Connection, collection: str, run_id: str, *, failed: bool) -> None:
    """Close a run."""
    state = "failed" if failed else "success"
    connection.execute(statement("runs", "finish_run"), {**_key(collection, run_id), "state": state})


def fail_run(connection: Connection, collection: str, run_id: str) -> None:
    """Close an aborted run as failed, if it exists and is still open."""
    connection.execute(statement("runs", "fail_run"), _key(collection, run_id))


def running_runs(connection: Connection, collection: str) -> list[str]:
    """The runs under way. A killed run counts as one for two days."""
    return fetch_column(connection, statement("runs", "running_runs"), {"collection": collection})


def latest_runs(connection: Connection, collection: str, limit: int = 1) -> list[str]:
    """The last runs, latest first."""
    return fetch_column(connection, statement("runs", "latest_runs"), {"collection": collection, "limit": limit})


def _key(collection: str, run_id: str) -> dict[str, str]:
    return {"collection": collection, "run_id": run_id}
