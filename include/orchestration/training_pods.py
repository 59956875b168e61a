"""Trains in a GPU pod."""

from typing import Any

from kubernetes.client import V1Pod

from image_retrieval.settings import load_settings
from orchestration.pod_spec import pod_defaults, pod_resources
from orchestration.pods import CommandPodOperator
from orchestration.processes import LocalProcess
from orchestration.training_processes import STEP_DEFAULTS, launcher


class TrainingPodOperator(CommandPodOperator):
    """Runs `image-retrieval training` in a pod. Another pod goes on from the latest checkpoint.

    :param training: the training's name, for the pod's name and labels.
    :param gpus: GPUs of the pod, each with a process, if the worker's settings give embedding pods any.
    """

    template_fields = (*CommandPodOperator.template_fields, "gpus")

    def __init__(self, *, training: str, gpus: int, **options: Any) -> None:
        settings, limit = load_settings(), STEP_DEFAULTS["execution_timeout"]
        defaults = pod_defaults(f"train-{training}", settings)
        defaults |= {"kind": "training", "of": training, "active_deadline_seconds": int(limit.total_seconds())}
        super().__init__(process=LocalProcess(), **(STEP_DEFAULTS | defaults | options))
        self.gpus = gpus

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> V1Pod:
        """The pod, with the GPUs that the run asks for."""
        settings, gpus = load_settings(), int(self.gpus)
        if gpus > 1:
            self.cmds = ["python", "-m", *launcher(gpus)]
        self.container_resources = pod_resources(settings, gpus if settings.pod_gpus else 0)
        return super().build_pod_request_obj(context, dry_run=dry_run)
