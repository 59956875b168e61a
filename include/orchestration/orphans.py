"""The last look at a run's pods: none of them may be left."""

from datetime import timedelta
from typing import Any

import structlog
from airflow.sdk import get_current_context, task
from airflow.sdk.observability import stats

from image_retrieval.settings import load_settings
from orchestration.failures import Mistake

log = structlog.get_logger()


def remove_orphans(collection: str) -> Any:
    """The teardown task that deletes what pods a run has left, and returns how many."""

    @task(task_id="remove_orphans", execution_timeout=timedelta(minutes=30))
    def remove(collection: str) -> int:
        """Delete the pods that a run has left: a worker that died may not have deleted its own."""
        from orchestration.pods import delete_pods_of

        context = get_current_context()
        run_id = str(context["run_id"])
        names = delete_pods_of(collection, run_id, load_settings().pod_namespace)
        stats.incr("image_retrieval.orphan_pods", len(names), tags={"collection": collection})
        if names:
            log.warning("removed orphan pods", collection=collection, run=run_id, count=len(names), pods=names)
        if _was_marked(context, run_id):
            raise Mistake("the run was marked as failed")
        return len(names)

    # the run fails with it: a run that is marked as failed would end as a success, all that is left being skipped
    return remove(collection).as_teardown(on_failure_fail_dagrun=True)


def _was_marked(context: Any, run_id: str) -> bool:
    """Whether somebody marked the run as failed: its report, which always runs, is skipped."""
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=["report"], run_ids=[run_id])
    return not context["params"].get("dry_run") and states.get(run_id, {}).get("report") == "skipped"
