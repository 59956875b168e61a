"""Backfills: runs that follow one another until no image is left over, and what they cost."""

from typing import TypedDict

from image_retrieval.collection import Collection
from image_retrieval.settings import Settings
from image_retrieval.store import runs
from image_retrieval.store.connection import connect
from image_retrieval.store.runs import RunReport


class Costs(TypedDict):
    """What a run's embedding cost, and an estimate of what the rest costs; None if no price is set."""

    cost: float | None
    cost_left: float | None


def costs(report: RunReport, settings: Settings) -> Costs:
    """The costs of a run, by the setting `embedding_hour_price`."""
    price = settings.embedding_hour_price
    if not price:
        return {"cost": None, "cost_left": None}
    left = report["embed_seconds_left"]
    cost = report["seconds"]["embed"] / 3600 * price
    return {"cost": round(cost, 4), "cost_left": None if left is None else round(left / 3600 * price, 4)}


def reason_to_stop(collection: Collection, run_id: str, settings: Settings) -> str | None:
    """Why no run should follow this one, or None if one should, since it loaded shards and left images over."""
    with connect(settings) as connection:
        report = runs.read_run(connection, collection.name, run_id)
        today = runs.count_recent(connection, collection.name)
    if report is None or not report["left_over"]:
        return "no images are left over"
    if not report["shards_done"]:  # the next run would fail like this one
        return "no shard of this run is in the table"
    if today >= collection.max_runs_a_day:
        return f"{today} runs within 24 hours are the most that max_runs_a_day allows: the schedule's next run goes on"
    return None
