"""When a collection's DAG runs: by its schedule, and between two such times when hints of changed objects wait."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable
from airflow.utils.types import DagRunType

from image_retrieval.collection import Collection
from orchestration.hint_trigger import HintTrigger


def schedule_of(collection: Collection) -> Any:
    """The DAG's schedule."""
    if not collection.watch:
        return collection.schedule
    name = f"hints.{collection.name}"
    watcher = AssetWatcher(name=name, trigger=HintTrigger(collection.name))
    hinted = Asset(name=name, uri=f"x-image-retrieval-hints://{collection.name}", watchers=[watcher])
    if collection.schedule is None:
        return [hinted]
    # by default, a DAG that is switched on within a tenth of the interval after such a time runs for that time at once,
    # before the run that `make demo` triggers and tells of
    times = CronTriggerTimetable(collection.schedule, timezone="UTC", run_immediately=timedelta())
    return AssetOrTimeSchedule(timetable=times, assets=[hinted])


def is_hinted(context: Any) -> bool:
    """Whether a DAG run was started by hints, and so looks only at the objects that they name."""
    return bool(context["dag_run"].run_type == DagRunType.ASSET_TRIGGERED)
