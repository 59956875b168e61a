"""The operator that embeds a shard: in a GPU pod, or by the same command in a process of this machine."""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import models as k8s

from image_retrieval.cli import MISTAKE, OUTAGE
from image_retrieval.collection import Collection
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.settings import PREFIX, load_settings
from orchestration.configuration import GPU_POOL, task_settings
from orchestration.failures import told_in_one_line


class EmbeddingPodOperator(KubernetesPodOperator):
    """Runs `image-retrieval embed` on one packed shard, where the setting `runner` says.

    :param collection: whose model and options are used.
    :param resampled: URI of the packed shard.
    :param embeddings: URI that the vectors are written to.
    """

    def __init__(self, *, collection: Collection, resampled: str, embeddings: str, **options: Any) -> None:
        settings = load_settings()
        defaults: dict[str, Any] = {
            "name": f"embed-{collection.name.replace('_', '-')}",
            "namespace": settings.pod_namespace,
            "image": settings.pod_image,
            "cmds": ["image-retrieval"],
            "arguments": embed_arguments(collection, resampled, embeddings, gpus=settings.pod_gpus),
            # a Secret, never literal values: those would show in the pod's spec and in the UI
            "env_from": [k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=settings.pod_secret))],
            "container_resources": k8s.V1ResourceRequirements(limits={"nvidia.com/gpu": str(settings.pod_gpus)}),
            "labels": {"app": "image-retrieval", "collection": collection.name},
            "pool": GPU_POOL,
            "execution_timeout": timedelta(hours=6),
            "map_index_template": "shard {{ task.arguments[2].rsplit('/', 1)[1].removesuffix('.parquet') }}",
            "do_xcom_push": False,  # its sidecar needs the right to exec, and hangs
            "log_pod_spec_on_failure": False,  # a spec in a log is one leak away from a secret in a log
            "termination_message_policy": "FallbackToLogsOnError",
            "on_finish_action": "delete_pod",
        }
        super().__init__(**{**defaults, **options})
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> Any:
        """Embed the shard; a failure names the program's last line."""
        if load_settings().runner == "kubernetes":
            return super().execute(context)
        with told_in_one_line():
            self._run_here(self.arguments)
        return None

    def _run_here(self, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", "image_retrieval.cli", *arguments]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment = inherited | task_settings().environment() | {f"{PREFIX}DATABASE_URL": ""}  # it needs none
        last = ""
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as self._process:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                last = line.rstrip() or last
                self.log.info("%s", line.rstrip())
        told = last.removeprefix("image-retrieval: ")
        if self._process.returncode == MISTAKE:
            raise UserError(told)
        if self._process.returncode == OUTAGE:
            raise Unavailable(told)
        if self._process.returncode:
            raise AirflowException(f"image-retrieval embed ended with {self._process.returncode}: {last}")

    def on_kill(self) -> None:
        """End the process or the pod when the task is stopped."""
        if self._process is not None:
            self._process.terminate()
        else:
            super().on_kill()


def embed_arguments(collection: Collection, resampled: str, embeddings: str, *, gpus: int) -> list[str]:
    """The arguments of `image-retrieval` that embed one shard of a collection."""
    model = collection.model
    in_pod = load_settings().runner == "kubernetes"
    return [
        "embed",
        resampled,
        embeddings,
        f"--model={model.source}",
        *([f"--revision={model.revision}"] if model.revision else []),
        f"--dtype={model.dtype}",
        f"--batch-size={model.batch_size}",
        "--use-cls-token" if model.use_cls_token else "--no-use-cls-token",
        *([f"--device={'cuda' if gpus else 'cpu'}"] if in_pod else []),
    ]
