"""The tasks and the form of the DAG `model_switch`."""

from datetime import timedelta
from typing import Any, get_args

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, get_current_context, task

from image_retrieval.collection import Dtype
from orchestration.configuration import DAG_DEFAULTS, declared_collections, task_id
from orchestration.tasks import shard_arguments, stage

COLLECTION = "{{ params.collection }}"
LATE = "__late"  # marks a separate run of the library
SWITCH_DEFAULTS: dict[str, Any] = DAG_DEFAULTS | {"dagrun_timeout": timedelta(days=14)}  # for slow approvals


def switch_params() -> dict[str, Param]:
    """The form of the DAG."""
    names = [collection.name for collection in declared_collections()]
    return {
        "collection": Param(names[0], type="string", enum=names, title="Collection"),
        "model": Param(type="string", pattern="^[a-z][a-z0-9_]{0,23}$", title="Model", description="Its name."),
        "source": Param(
            None,
            type=["null", "string"],
            title="Source",
            description="A folder, a hub id, or s3://bucket/prefix/; empty for a model that has made vectors before.",
        ),
        "revision": Param(None, type=["null", "string"], title="Revision", description="Commit of a hub id."),
        "dtype": Param("auto", type="string", enum=list(get_args(Dtype)), title="Precision"),
        "use_cls_token": Param(
            True,
            type="boolean",
            title="Class token",
            description="Vision transformers: the class token, else the mean of the patch tokens.",
        ),
        "require_approval": Param(
            False, type="boolean", title="Ask a person", description="Wait for approval before the view is replaced."
        ),
        "shard_size": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=1_000_000,
            title="Shard size",
            description="Images per shard; empty: the collection's own value.",
        ),
    }


def _planned(collection: str, part: str) -> list[dict[str, Any]]:
    from image_retrieval.pipeline.switching import plan_switch, wanted_model

    params = get_current_context()["params"]
    with stage(collection, part=part) as (entry, run_id, settings):
        options = {name: params[name] for name in ("revision", "dtype", "use_cls_token")}
        model = wanted_model(entry, params["model"], settings, source=params["source"], **options)
        plan = plan_switch(entry, model, run_id, settings, shard_size=params["shard_size"])
        shards = shard_arguments(entry, run_id, settings) if plan.shards else []
    return [{**shard, "part": part} for shard in shards]


@task(execution_timeout=timedelta(hours=3))
def plan(collection: str) -> list[dict[str, Any]]:
    """Open the switch, and plan the images without a vector under the other model. Returns the shards per task."""
    return _planned(collection, "")


@task(execution_timeout=timedelta(hours=12), trigger_rule="none_failed")
def check(collection: str) -> dict[str, Any]:
    """Index the other model's vectors, measure both models side by side, and fit scores if needed."""
    from image_retrieval.pipeline.finishing import finish_run
    from image_retrieval.pipeline.switching import check_switch

    with stage(collection) as (entry, run_id, settings):
        finish_run(entry, run_id, settings)
        return dict(check_switch(entry, get_current_context()["params"]["model"], settings))


class Approval(ApprovalOperator):
    """Waits for a person if the run asks for approval; a rejection cancels the switch."""

    def execute(self, context: Any) -> None:
        """Ask for approval, or continue."""
        if context["params"]["require_approval"]:
            super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Continue, or cancel the switch and skip the following tasks."""
        if "error" not in event and self.REJECT in event["chosen_options"]:
            from image_retrieval.pipeline.switching import give_up_switch

            with stage(context["params"]["collection"]) as (entry, _, settings):
                give_up_switch(entry, settings)
        return super().execute_complete(context, event)


def approve(checked: Any) -> Approval:
    """The task that asks a person, and shows the figures of both models from the task `check`."""
    return Approval(
        task_id="approve",
        subject="Show {{ params.collection }} under model {{ params.model }}?",
        body=f"```json\n{{{{ ti.xcom_pull(task_ids='{task_id(checked)}') | tojson(indent=2) }}}}\n```",
        response_timeout=timedelta(days=7),
        ignore_downstream_trigger_rules=True,
    )


@task(execution_timeout=timedelta(hours=3))
def plan_late(collection: str) -> list[dict[str, Any]]:
    """Plan the images that came since the first plan and are not embedded under both models."""
    return _planned(collection, LATE)


@task(execution_timeout=timedelta(hours=1), trigger_rule="none_failed")
def switch(collection: str) -> None:
    """Replace the view if every image is covered."""
    from image_retrieval.pipeline.finishing import finish_run
    from image_retrieval.pipeline.switching import complete_switch

    with stage(collection, part=LATE) as (entry, run_id, settings):
        finish_run(entry, run_id, settings)
        complete_switch(entry, get_current_context()["params"]["model"], settings)
