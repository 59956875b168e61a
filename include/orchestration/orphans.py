"""The last look at a run's pods: none of them may be left."""

from datetime import timedelta
from typing import Any

import structlog
from airflow.sdk import get_current_context, task
from airflow.sdk.observability import stats

from image_retrieval.settings import load_settings

log = structlog.get_logger()


def remove_orphans(collection: str) -> Any:
    """The teardown task that deletes what pods a run has left, and returns how many."""

    @task(task_id="remove_orphans", execution_timeout=timedelta(minutes=30))
    def remove(collection: str) -> int:
        """Delete the pods that a run has left: a worker that died may not have deleted its own."""
        from orchestration.pods import delete_pods_of

        run_id = str(get_current_context()["run_id"])
        names = delete_pods_of(collection, run_id, load_settings().pod_namespace)
        stats.incr("image_retrieval.orphan_pods", len(names), tags={"collection": collection})
        if names:
            log.warning("removed orphan pods", collection=collection, run=run_id, count=len(names), pods=names)
        return len(names)

    return remove(collection).as_teardown()
