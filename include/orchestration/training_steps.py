"""The tasks that train a model and judge it: in a GPU pod, or by the same command in a process on the worker's machine.

They need no database.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from orchestration.configuration import task_settings
from orchestration.embedding import embeds_in_pods
from orchestration.training_processes import TrainingProcessOperator

if TYPE_CHECKING:
    from image_retrieval.store.trainings import State


def step(task_id: str, state: "State", name: str, arguments: Any, gpus: Any = 1, machines: Any = 1) -> BaseOperator:
    """The operator that runs a step of the training of a name, chosen by the setting `runner`.

    `state`: what the training's row says meanwhile. `machines`: pods, each with so many `gpus`.
    """
    options = {"task_id": task_id, "arguments": arguments, "gpus": gpus, "on_execute_callback": _tells(state)}
    if not embeds_in_pods():
        return TrainingProcessOperator(**options)
    from orchestration.training_pods import TrainingPodOperator  # a second of imports

    return TrainingPodOperator(training=name, machines=machines, **options)


def _tells(state: "State") -> Callable[[Any], None]:
    def tell(context: Any) -> None:
        from image_retrieval.pipeline.trainings import advance

        advance(context["params"]["model"], state, task_settings())

    return tell
