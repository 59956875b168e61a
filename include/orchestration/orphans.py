"""Removes the pods that a run has left behind."""

from datetime import timedelta
from typing import Any

import structlog
from airflow.sdk import get_current_context, task
from airflow.sdk.observability import stats

from image_retrieval.settings import load_settings
from orchestration.configuration import task_id
from orchestration.failures import Mistake

log = structlog.get_logger()


def remove_orphans(of: str, last: Any, asked: Any = None, kind: str = "collection") -> Any:
    """The teardown task that deletes pods that a run has left, and returns their number.

    `of` names what the run is for: something of this kind. `last` is the DAG's last task. It always runs, unless a
    person rejects the task `asked`.
    """

    @task(task_id="remove_orphans", execution_timeout=timedelta(minutes=30))
    def remove(of: str, last: str, asked: str | None) -> int:
        """Delete the pods that a run has left, for example because a worker died."""
        from orchestration.pods import delete_pods_of

        context = get_current_context()
        run_id = str(context["run_id"])
        names = delete_pods_of(kind, of, run_id, load_settings().pod_namespace)
        stats.incr("image_retrieval.orphan_pods", len(names), tags={kind: of})
        if names:
            log.warning("removed orphan pods", **{kind: of}, run=run_id, count=len(names), pods=names)
        if was_marked(context, last, asked):
            raise Mistake("the run was marked as failed")
        return len(names)

    # fails the run: a run marked as failed would otherwise end as a success, since all its other tasks are skipped
    found = remove(of, task_id(last), task_id(asked) if asked else None)
    return found.as_teardown(on_failure_fail_dagrun=True)


def was_marked(context: Any, last: str, asked: str | None) -> bool:
    """Whether somebody marked the run as failed: its last task was skipped, but not by a dry run or a rejection."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    ti, run_id = context["ti"], str(context["run_id"])
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[last], run_ids=[run_id])
    if context["params"].get("dry_run") or states.get(run_id, {}).get(last) != "skipped":
        return False
    answer = ti.xcom_pull(task_ids=asked) if asked else None
    return ApprovalOperator.REJECT not in (answer or {}).get("chosen_options", ())
