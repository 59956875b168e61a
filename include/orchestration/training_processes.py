"""Trains in a process on the worker's machine; with several GPUs, in a process for each."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from orchestration.configuration import GPU_POOL
from orchestration.processes import LocalProcess

STEP_DEFAULTS: dict[str, Any] = {"pool": GPU_POOL, "execution_timeout": timedelta(days=7)}


def launcher(gpus: int, *options: str) -> list[str]:
    """What Python runs as a module before the command's own arguments: it starts a process for each GPU."""
    return ["image_retrieval.training.launching", *options, str(gpus)]


def require_work(arguments: Sequence[str]) -> None:
    """Skip the task if there is no command."""
    if not arguments:
        raise AirflowSkipException("a training on texts judges its model itself")


class TrainingProcessOperator(BaseOperator):
    """Runs `image-retrieval training` on this machine. A try of the task goes on where the last one ended.

    :param arguments: the arguments of `image-retrieval`; where there are none, the task is skipped.
    :param gpus: processes.
    """

    template_fields = ("arguments", "gpus")

    def __init__(self, *, arguments: Sequence[str], gpus: int, **options: Any) -> None:
        super().__init__(**(STEP_DEFAULTS | options))
        self.arguments = arguments
        self.gpus = gpus
        self._command = LocalProcess()

    def execute(self, context: Any) -> None:  # noqa: ARG002
        """Run the command; a failure names its last line."""
        require_work(self.arguments)
        if int(self.gpus) > 1:
            self._command.module = launcher(int(self.gpus))
        self._command.run(self.arguments, self.log)

    def on_kill(self) -> None:
        """End the process when the task is stopped; it saves a checkpoint."""
        self._command.end()
