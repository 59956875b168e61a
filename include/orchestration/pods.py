"""Embedding in a GPU pod: every default of such a pod, with its reason where it is an odd one."""

from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s

from image_retrieval.settings import load_settings
from orchestration.processes import EMBED_DEFAULTS, EmbeddingProcess


class EmbeddingPodOperator(KubernetesPodOperator):
    """Runs `image-retrieval` with the given arguments in a pod; as a local process where the worker's settings say so.

    :param collection: name of the collection, for the pod's name and labels.
    :param arguments: what follows `image-retrieval`.
    """

    def __init__(self, *, collection: str, arguments: list[str], **options: Any) -> None:
        settings = load_settings()
        defaults: dict[str, Any] = {
            "name": f"embed-{collection.replace('_', '-')}",
            "namespace": settings.pod_namespace,
            "image": settings.pod_image,
            "cmds": ["image-retrieval"],
            # a Secret, never literal values: those would show in the pod's spec and in the UI
            "env_from": [k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=settings.pod_secret))],
            "container_resources": k8s.V1ResourceRequirements(limits={"nvidia.com/gpu": str(settings.pod_gpus)}),
            "labels": {"app": "image-retrieval", "collection": collection},
            "do_xcom_push": False,  # its sidecar needs the right to exec, and hangs
            "log_pod_spec_on_failure": False,  # a spec in a log is one leak away from a secret in a log
            "termination_message_policy": "FallbackToLogsOnError",  # the program's last words in the error
            "on_finish_action": "delete_pod",
        }
        super().__init__(arguments=arguments, **(EMBED_DEFAULTS | defaults | options))
        self._command = EmbeddingProcess()

    def execute(self, context: Any) -> Any:
        """Embed the shard."""
        if load_settings().runner == "kubernetes":
            return super().execute(context)
        return self._command.run(self.arguments, self.log)

    def on_kill(self) -> None:
        """End the pod or the process when the task is stopped."""
        self._command.end()
        super().on_kill()
