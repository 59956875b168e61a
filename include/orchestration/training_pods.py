"""Trains in GPU pods: in one, or in one for each of several machines."""

from collections import defaultdict
from typing import Any

from kubernetes.client import ApiException, V1Pod, V1Service

from image_retrieval.settings import load_settings
from orchestration.pod_group_trigger import PodGroupTrigger
from orchestration.pod_groups import GROUP, MACHINE, as_first, others, pod_names, service_name, service_of
from orchestration.pod_spec import pod_defaults, pod_resources
from orchestration.pods import CommandPodOperator, asked, refused
from orchestration.processes import LocalProcess
from orchestration.training_processes import STEP_DEFAULTS, launcher, require_work


class TrainingPodOperator(CommandPodOperator):
    """Runs `image-retrieval training` in pods. If one is taken away, new ones go on from the latest checkpoint.

    :param training: the training's name, for the pods' names and labels.
    :param gpus: GPUs of each pod, each with a process, if the worker's settings give embedding pods any.
    :param machines: pods.
    """

    template_fields = (*CommandPodOperator.template_fields, "gpus", "machines")
    trigger = PodGroupTrigger

    def __init__(self, *, training: str, gpus: int, machines: int = 1, **options: Any) -> None:
        settings, limit = load_settings(), STEP_DEFAULTS["execution_timeout"]
        defaults = pod_defaults(f"train-{training}", settings)
        defaults |= {"kind": "training", "of": training, "active_deadline_seconds": int(limit.total_seconds())}
        super().__init__(process=LocalProcess(), **(STEP_DEFAULTS | defaults | options))
        self.gpus = gpus
        self.machines = machines

    def execute(self, context: Any) -> None:
        """Run the command; skip the task if there is none."""
        require_work(self.arguments)
        super().execute(context)

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> V1Pod:
        """The pod of the first machine, with the GPUs that the run asks for."""
        settings, gpus, machines = load_settings(), int(self.gpus), int(self.machines)
        if gpus > 1:
            self.cmds = ["python", "-m", *launcher(gpus)]
        self.container_resources = pod_resources(settings, gpus if settings.pod_gpus else 0)
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        if machines == 1:
            return pod
        patience = settings.pod_schedule_seconds + settings.pod_start_seconds
        return as_first(pod, service_name(self.of), machines, gpus, patience)

    def _watched(self) -> dict[str, Any]:
        return {"machines": int(self.machines)}

    def _names(self, first: str) -> list[str]:
        return pod_names(first, int(self.machines))

    def _kept(self, usable: list[V1Pod]) -> list[V1Pod]:
        """The pods of a group that is whole."""
        if int(self.machines) == 1:
            return super()._kept(usable)
        groups = defaultdict(list)
        for pod in usable:
            groups[pod.metadata.labels.get(GROUP)].append(pod)
        whole = [pods for pods in groups.values() if len(pods) == int(self.machines)]
        return sorted(whole[0], key=lambda pod: int(pod.metadata.labels[MACHINE])) if whole else []

    def _created(self, request: V1Pod) -> V1Pod:
        """Create the pods of all machines, and their Service; returns the first pod, as the cluster knows it."""
        first = super()._created(request)
        if int(self.machines) == 1:
            return first
        try:
            self._replace(service_of(request, first))
            for pod in others(request, first, int(self.machines)):
                super()._created(pod)
        except BaseException:
            self._remove(first.metadata.name, first.metadata.namespace)  # the cluster then removes the others
            raise
        return first

    def _replace(self, service: V1Service) -> None:
        """Create the Service; that of a former group may still be there."""
        namespace = service.metadata.namespace
        try:
            asked(self.client.delete_namespaced_service, service.metadata.name, namespace)
        except ApiException as error:
            if error.status != 404:
                raise refused(f"Service {service.metadata.name}", namespace, error) from None
        try:
            asked(self.client.create_namespaced_service, namespace, service)
        except ApiException as error:
            if error.status != 409:  # 409: only the answer to a former request was lost
                raise refused(f"Service {service.metadata.name}", namespace, error) from None
