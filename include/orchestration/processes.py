"""Runs commands of image-retrieval in a process on the worker's machine; embeds so."""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from image_retrieval.errors import Unavailable, UserError
from image_retrieval.exit_codes import MISTAKE, OUT_OF_MEMORY, OUTAGE
from image_retrieval.settings import PREFIX
from orchestration.arguments import batch_size_of, map_label, with_batch_size
from orchestration.configuration import GPU_POOL, task_settings
from orchestration.failures import told_in_one_line

EMBED_DEFAULTS: dict[str, Any] = {
    "task_id": "embed",
    "pool": GPU_POOL,
    "execution_timeout": timedelta(hours=6),
    "map_index_template": "{{ task.map_label }}",
}


class LocalProcess:
    """`image-retrieval` in a process on this machine, with its output in the task's log."""

    def __init__(self, module: Sequence[str] = ("image_retrieval.cli",)) -> None:
        self.module = module  # what Python runs, with the arguments before the command's own
        self._process: subprocess.Popen[str] | None = None

    def run(self, arguments: Sequence[str], log: Any) -> None:
        """Run the command to its end; if memory is short, `embed` runs again with half the batch.

        Raises Mistake, Outage or AirflowException with the command's last line.
        """
        status, message = self._run(arguments, log)
        while status == OUT_OF_MEMORY and (size := batch_size_of(arguments)) > 1:
            log.warning("%s; continuing with batches of %d instead of %d images", message, size // 2, size)
            arguments = with_batch_size(arguments, size // 2)
            status, message = self._run(arguments, log)
        with told_in_one_line():
            if status == MISTAKE:
                raise UserError(message)
            if status == OUTAGE:
                raise Unavailable(message)
        if status:
            raise AirflowException(f"image-retrieval {arguments[0]} ended with {status}: {message}")

    def _run(self, arguments: Sequence[str], log: Any) -> tuple[int, str]:
        """Exit status and last line of one run."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment = inherited | task_settings().environment() | {f"{PREFIX}DATABASE_URL": ""}  # it needs none
        command = [sys.executable, "-m", *self.module, *arguments]
        last = ""
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as self._process:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                last = line.rstrip() or last
                log.info("%s", line.rstrip())
        return self._process.returncode, last.removeprefix("image-retrieval: ")

    def end(self) -> None:
        """Stop the command if it is running."""
        if self._process is not None:
            self._process.terminate()


class EmbeddingProcessOperator(BaseOperator):
    """Runs `image-retrieval` with the given arguments on this machine."""

    template_fields = ("shards", "arguments")

    def __init__(self, *, shards: list[int], arguments: Sequence[str], **options: Any) -> None:
        super().__init__(**(EMBED_DEFAULTS | options))
        self.shards = shards
        self.arguments = arguments
        self._command = LocalProcess()

    @property
    def map_label(self) -> str:
        """The name of the mapped task."""
        return map_label(self.shards)

    def execute(self, context: Any) -> None:  # noqa: ARG002
        """Embed the shards; a failure names the program's last line."""
        self._command.run(self.arguments, self.log)

    def on_kill(self) -> None:
        """End the process when the task is stopped."""
        self._command.end()
