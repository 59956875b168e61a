"""What the tables say of runs and collections."""

from typing import Any

from image_retrieval.collection import Collection
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement

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
    return Collection(name=name, **row["definition"]) if row else None


def made_collections(connection: Connection) -> dict[str, Collection]:
    """Those that were made through the API."""
    rows = connection.execute(statement("service", "made_collections")).fetchall()
    return {row["name"]: Collection(name=row["name"], **row["definition"]) for row in rows}
