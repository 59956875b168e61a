"""The task that lets a run follow another one as long as images are left over."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowSkipException

from image_retrieval.collection import Collection
from orchestration.tasks import stage


class RunAgainOperator(TriggerDagRunOperator):
    """Triggers the collection's DAG again if the run left images over; skipped if it should not follow."""

    def __init__(self, *, collection: str, **options: Any) -> None:
        super().__init__(**options)
        self.collection = collection

    def execute(self, context: Any) -> None:
        """Trigger the next run, or skip."""
        from image_retrieval.pipeline.backfilling import reason_to_stop

        with stage(self.collection) as (entry, run_id, settings):
            reason = reason_to_stop(entry, run_id, settings)
        if reason:
            raise AirflowSkipException(reason)
        self.conf = {"shard_size": context["params"]["shard_size"]}  # a template would make a text of it
        super().execute(context)


def run_again(collection: Collection) -> RunAgainOperator:
    """The task that triggers the next run of a backfill, which waits until this one has ended."""
    return RunAgainOperator(
        task_id="run_again",
        collection=collection.name,
        trigger_dag_id=collection.dag_id,
        trigger_run_id="backfill__{{ dag_run.run_after.isoformat() }}",  # one run follows, also if the task is repeated
        skip_when_already_exists=True,
        execution_timeout=timedelta(minutes=10),
    )
