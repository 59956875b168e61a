"""The tasks of the DAG `model_training`, but for those that train and judge."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import structlog
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException

from image_retrieval.settings import Settings, load_settings
from orchestration.configuration import CPU_POOL, DAG_DEFAULTS, task_id, task_settings
from orchestration.failures import told_in_one_line

NAME = "{{ params.model }}"
BOTH: tuple[str, ...] = ("method", "revision", "rate", "seed")  # params that are options of each training
OPTIONS: tuple[str, ...] = ("backbone", "crop", "precision", "readers", "accumulate", "gradient_checkpointing")
PAIRS: tuple[str, ...] = ("general", "text_only", "epochs", "checkpoint_every")  # None is the method's own
TRAINING_DEFAULTS: dict[str, Any] = DAG_DEFAULTS | {
    "dagrun_timeout": timedelta(days=28),  # for slow approvals
    "max_active_runs": 16,  # one that waits for an approval keeps no other from training
}


@contextmanager
def _training() -> Iterator[tuple[str, Settings]]:
    """The name of the run's training and the settings; log lines name the training."""
    context = get_current_context()
    name = str(context["params"]["model"])
    with told_in_one_line(), structlog.contextvars.bound_contextvars(training=name, run=str(context["run_id"])):
        yield name, task_settings()


def _goes_on(run_id: str) -> bool:
    """Whether a run of this DAG has not ended."""
    context = get_current_context()
    try:
        state = context["ti"].get_dagrun_state(context["dag"].dag_id, run_id)
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND:  # it was deleted
            return False
        raise
    return state in ("queued", "running")


def _options(params: Any) -> Any:
    """What the form asks for, as options of `training run` or `training pairs`."""
    from image_retrieval.training.options import BATCH_SIZE, CHECKPOINT_EVERY, EPOCHS, TrainingOptions
    from image_retrieval.training.pairs import options as pairs

    stated = {name: params[name] for name in BOTH} | {"pack": "", "start": params["start"] or ""}
    if params["method"] in pairs.PAIR_METHODS:
        own = {name: params[name] for name in PAIRS}
        return pairs.PairOptions(**stated, **own, batch_size=params["batch_size"] or pairs.BATCH_SIZE)
    return TrainingOptions(
        **stated,
        **{name: params[name] for name in OPTIONS},
        epochs=params["epochs"] or EPOCHS,
        batch_size=params["batch_size"] or BATCH_SIZE,
        checkpoint_every=params["checkpoint_every"] or CHECKPOINT_EVERY,
    )


@task(execution_timeout=timedelta(hours=3))
def begin() -> dict[str, Any]:
    """Check what the form asks for, and begin the training. Returns the arguments of `train` and `gate`."""
    from image_retrieval.pipeline.training_requests import Wanted, gate_arguments, run_arguments
    from image_retrieval.pipeline.trainings import begin as begin_training

    context = get_current_context()
    params = context["params"]
    with _training() as (name, settings):
        wanted = Wanted(
            name=name,
            source=params["source"],
            options=_options(params),
            against=params["against"],
            held_out=params["held_out"],
            images=params["images"],
            gpus=params["gpus"],
            machines=params["machines"],
        )
        training = begin_training(wanted, str(context["run_id"]), settings, _goes_on)
    judging = gate_arguments(training)
    device = ["--device=cpu"] if load_settings().runner == "kubernetes" and not load_settings().pod_gpus else []
    return {
        "run": [*run_arguments(training), *device],
        "gate": [*judging, *device] if judging else [],
        "gpus": params["gpus"],
        "machines": params["machines"],
        "source": training.model,
    }


@task(execution_timeout=timedelta(hours=12), pool=CPU_POOL)
def pack() -> dict[str, int]:
    """Pack the pictures to learn from, without near duplicates, and hold some of them out. Returns their numbers."""
    from image_retrieval.pipeline import trainings

    with _training() as (name, settings):
        trainings.advance(name, "packing", settings)
        manifest = trainings.pack(name, settings)
    return {"images": manifest["images"], "held_out": manifest["held_out"], "duplicates": manifest["duplicates"]}


@task(execution_timeout=timedelta(minutes=30))
def take_in() -> dict[str, Any]:
    """Record the figures of the finished training, and return them."""
    from image_retrieval.pipeline import trainings

    with _training() as (name, settings):
        found: dict[str, Any] = trainings.take_in(name, settings).figures
    return found


@task(execution_timeout=timedelta(minutes=30), trigger_rule="none_failed")  # the gate may be skipped
def register() -> str:
    """Record what the gate said; a model that passed is known by its name from now on. Returns the gate's report."""
    from image_retrieval.objects import ObjectStore
    from image_retrieval.pipeline import trainings

    with _training() as (name, settings):
        return trainings.gate_report(trainings.register(name, settings), ObjectStore(settings))


class TrainedApproval(ApprovalOperator):
    """Asks a person whether to switch, if the run wants a switch and the model passed; else skips what follows."""

    def execute(self, context: Any) -> None:
        """Ask, or skip."""
        from image_retrieval.pipeline.trainings import read_training

        if not context["params"]["switch"]:
            raise AirflowSkipException("the run asks for no switch")
        with _training() as (name, settings):
            training = read_training(name, settings)
        if training.state != "passed":
            raise AirflowSkipException(f"the gate says {training.state}: {training.reason}")
        super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Record the answer; a rejection skips the switch."""
        if "error" not in event:
            from image_retrieval.pipeline.trainings import decide

            with _training() as (name, settings):
                decide(name, "rejected" if self.REJECT in event["chosen_options"] else "approved", settings)
        return super().execute_complete(context, event)


def approve(registered: Any) -> TrainedApproval:
    """The task that shows a person the report card from the task `register`."""
    return TrainedApproval(
        task_id="approve",
        subject="Switch {{ params.switch }} to the trained model {{ params.model }}?",
        body=f"{{{{ ti.xcom_pull(task_ids='{task_id(registered)}') }}}}\n\n"
        "The page *Image search*, tab *Trainings*, shows queries with the answers of both models.",
        response_timeout=timedelta(days=7),
    )


def switch(begun: Any) -> TriggerDagRunOperator:
    """The task that triggers the DAG model_switch, which goes on by itself. A repeated one clears that run."""
    return TriggerDagRunOperator(
        task_id="switch",
        trigger_dag_id="model_switch",
        trigger_run_id="training__{{ params.model }}__{{ dag_run.run_after.isoformat() }}",
        conf={"collection": "{{ params.switch }}", "model": NAME, "source": begun["source"]},
        reset_dag_run=True,
        execution_timeout=timedelta(minutes=10),
    )


@task(execution_timeout=timedelta(minutes=30), trigger_rule="all_done")
def report() -> dict[str, Any]:
    """Close the training in `retrieval.training`; fails, with the reason, if it came to no model."""
    from image_retrieval.pipeline.trainings import close

    with _training() as (name, settings):
        training = close(name, str(get_current_context()["run_id"]), settings)
    return {"state": training.state, "reason": training.reason, "decision": training.decision}
