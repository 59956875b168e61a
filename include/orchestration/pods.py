"""Runs commands in GPU pods, and replaces pods that the cluster takes away; embeds so."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import generic_api_retry
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException, CoreV1Api, V1Pod
from urllib3.exceptions import HTTPError

from image_retrieval.settings import load_settings
from orchestration.arguments import batch_size_of, map_label, span, what_of, with_batch_size
from orchestration.failures import Mistake, Outage
from orchestration.pod_spec import pod_defaults
from orchestration.pod_status import Ending
from orchestration.pod_trigger import POLL_SECONDS, RIGHTS_SECONDS, EmbeddingPodTrigger
from orchestration.processes import EMBED_DEFAULTS, LocalProcess


class CommandPodOperator(KubernetesPodOperator):
    """Runs `image-retrieval` with the given arguments in a pod, or as a local process if the worker's settings say so.

    A try of the task ends when the program ends. A pod that the cluster takes away is replaced by another, which
    continues from the saved work. A try that starts while a pod of the same task and arguments runs takes that pod
    over.

    :param kind: of what the pod is for, such as `collection`; the name of a label.
    :param of: its name, for that label.
    :param process: the same program on this machine.
    """

    template_fields = (*KubernetesPodOperator.template_fields, "of")
    trigger: type[EmbeddingPodTrigger] = EmbeddingPodTrigger

    def __init__(self, *, kind: str, of: str, process: LocalProcess, **options: Any) -> None:
        super().__init__(**options)
        self.kind = kind
        self.of = of
        self._process = process

    def execute(self, context: Any) -> None:
        """Run the command."""
        if load_settings().runner == "local":
            self._process.run(self.arguments, self.log)
            return
        watch: EmbeddingPodTrigger | None = self._started(context, batch_size_of(self.arguments), 0)
        while watch is not None:
            if self.deferrable:
                self.defer(trigger=watch, method_name="trigger_reentry")
            watch = self._after(context, asyncio.run(watch.outcome()))

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> None:
        """Continue after the triggerer has seen a pod end."""
        watch = self._after(context, event)
        if watch is not None:
            self.defer(trigger=watch, method_name="trigger_reentry")

    def on_kill(self) -> None:
        """Delete the pod or end the process when the task is stopped."""
        self._process.end()
        super().on_kill()

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> V1Pod:
        """The pod, with labels that name the run and what it is for."""
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        run_id = str(context["run_id"]) if context else ""
        pod.metadata.labels |= _labels(run=run_id, **{self.kind: self.of})
        pod.metadata.name = pod.metadata.name.replace("_", "-")  # the name may contain that of what it is for
        pod.spec.enable_service_links = False  # a Service in the namespace would set variables that look like ours
        return pod

    def _started(self, context: Any, batch_size: int, disruptions: int) -> EmbeddingPodTrigger:
        """The trigger that watches a pod of this task: a running one, or a new one."""
        self.arguments = with_batch_size(self.arguments, batch_size)
        request = self.build_pod_request_obj(context)
        self.pod = self._at_work(request, context) or self._created(request)
        deadline = context["ti"].start_date + self.execution_timeout
        return self.trigger(
            pod_name=self.pod.metadata.name,
            pod_namespace=self.pod.metadata.namespace,
            base_container_name=self.base_container_name,
            trigger_start_time=context["ti"].start_date,
            kubernetes_conn_id=self.kubernetes_conn_id,
            # a trigger's arguments are stored, so the triggerer reads the connection itself
            connection_extras=None if self.deferrable else self.hook.conn_extras,  # type: ignore[attr-defined]
            in_cluster=self.hook.is_in_cluster or None,  # only the task's own hook finds out that it is in a cluster
            poll_interval=POLL_SECONDS,
            schedule_timeout=self.schedule_timeout_seconds,
            startup_timeout=self.startup_timeout_seconds,
            on_kill_action=self.on_kill_action.value,
            termination_grace_period=self.termination_grace_period,
            trigger_kwargs={
                "batch_size": batch_size,
                "disruptions": disruptions,
                "deadline": deadline.timestamp(),
                **self._watched(),
            },
        )

    def _watched(self) -> dict[str, Any]:
        """What else the trigger has to know."""
        return {}

    def _at_work(self, request: V1Pod, context: Any) -> V1Pod | None:
        """The pod that a former try of this task left, if it does the same; others are removed."""
        selector = self._build_find_pod_label_selector(context, exclude_checked=False)
        pods = asked(self.client.list_namespaced_pod, request.metadata.namespace, label_selector=selector).items
        kept = self._kept([pod for pod in pods if _is_usable(pod) and _does_the_same(pod, request)])
        for pod in pods:
            if pod in kept:
                self.log.info("taking over pod %s of a former try: %s", pod.metadata.name, pod.status.phase)
            else:
                self._remove(pod.metadata.name, pod.metadata.namespace)
        return kept[0] if kept else None

    def _kept(self, usable: list[V1Pod]) -> list[V1Pod]:
        """The pods of a former try to take over, the one that is watched first."""
        return usable[:1]

    def _names(self, first: str) -> list[str]:
        """The names of all pods of a try, of which the first is watched."""
        return [first]

    def _created(self, request: V1Pod) -> V1Pod:
        """The new pod, as the cluster knows it."""
        name, namespace = request.metadata.name, request.metadata.namespace
        try:
            pod = asked(self.client.create_namespaced_pod, namespace, request)
        except ApiException as error:
            if error.status != 409:  # 409: the pod exists, since only the answer to a former request was lost
                raise refused("pod", namespace, error) from None
            pod = asked(self.client.read_namespaced_pod, name, namespace)
        self.log.info("started pod %s", name)
        return pod

    def _after(self, context: Any, event: dict[str, Any]) -> EmbeddingPodTrigger | None:
        """React to the end of a pod: return, raise, or start another pod."""
        ending, message = Ending(event["ending"]), event["message"]
        batch_size, disruptions = event["batch_size"], event["disruptions"]
        for name in self._names(event["name"]):
            self._remove(name, event["namespace"])
        if ending is Ending.DONE:
            return None
        if ending is Ending.OUT_OF_MEMORY and batch_size > 1:
            half = batch_size // 2
            self.log.warning("%s; continuing with batches of %d instead of %d images", message, half, batch_size)
            return self._started(context, half, disruptions)
        if ending is Ending.DISRUPTED and disruptions < load_settings().pod_disruptions:
            self.log.warning("%s; another pod continues from its saved work", message)
            return self._started(context, batch_size, disruptions + 1)
        raise self._failure(ending, message)

    def _remove(self, name: str, namespace: str) -> None:
        try:
            _delete(self.client, name, namespace)
        except (ApiException, Mistake, Outage) as error:  # the teardown task tries again
            self.log.warning("pod %s could not be deleted: %s", name, error)

    def _failure(self, ending: Ending, message: str) -> BaseException:
        self.log.error(message)
        match ending:
            case Ending.MISTAKE:
                return Mistake(message)
            case Ending.OUTAGE | Ending.DISRUPTED:
                return Outage(message)
        return AirflowException(message)


class EmbeddingPodOperator(CommandPodOperator):
    """Embeds shards. A pod that ran out of memory is replaced by one with half the batch.

    :param collection: name of the collection, for the pod's name and labels.
    :param shards: the numbers of the shards, for the labels.
    :param arguments: the arguments of `image-retrieval embed`; they must include `--batch-size=N`.
    """

    template_fields = (*CommandPodOperator.template_fields, "shards")

    def __init__(self, *, collection: str, shards: list[int], arguments: list[str], **options: Any) -> None:
        defaults = pod_defaults(f"embed-{collection}", load_settings()) | {"kind": "collection", "of": collection}
        super().__init__(process=LocalProcess(), arguments=arguments, **(EMBED_DEFAULTS | defaults | options))
        self.shards = shards

    @property
    def map_label(self) -> str:
        """The name of the mapped task."""
        return map_label(self.shards)

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> V1Pod:
        """The pod, with a label that names the shards, too."""
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        pod.metadata.labels |= _labels(shard=span(self.shards))
        return pod


def delete_pods_of(kind: str, of: str, run_id: str, namespace: str) -> list[str]:
    """Delete the pods of a run for something. Returns the names of those that had not been deleted yet."""
    client = KubernetesHook().core_v1_client
    selector = ",".join(f"{name}={value}" for name, value in _labels(run=run_id, **{kind: of}).items())
    pods = asked(client.list_namespaced_pod, namespace, label_selector=selector).items
    names = [pod.metadata.name for pod in pods if pod.metadata.deletion_timestamp is None]
    for name in names:
        _delete(client, name, namespace)
    return names


def _delete(client: CoreV1Api, name: str, namespace: str) -> None:
    try:
        asked(client.delete_namespaced_pod, name, namespace)
    except ApiException as error:
        if error.status != 404:
            raise


def _labels(**names: str) -> dict[str, str]:
    return {f"image-retrieval/{name}": make_safe_label_value(value) for name, value in names.items()}


def asked(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The answer of the Kubernetes API; retries for a while if there is none, or a refusal. Raises Outage, Mistake."""
    started = time.monotonic()
    while True:
        try:
            return generic_api_retry(call)(*arguments, **options)  # type: ignore[no-untyped-call]
        except HTTPError as error:
            raise Outage(f"the Kubernetes API does not answer: {type(error).__name__}") from None
        except ApiException as error:
            if error.status in (401, 429) or error.status >= 500 or "exceeded quota" in str(error.body):
                raise Outage(f"the Kubernetes API refuses for now: {_told(error)}") from None
            if error.status != 403:
                raise
            if time.monotonic() - started >= RIGHTS_SECONDS:
                raise Mistake(f"the connection to Kubernetes has too few rights: {_told(error)}") from None
        time.sleep(POLL_SECONDS)


def refused(what: str, namespace: str, error: ApiException) -> Mistake:
    """The mistake for which the API server creates nothing."""
    return Mistake(f"no {what} could be started in namespace {namespace}: {_told(error)}")


def _is_usable(pod: V1Pod) -> bool:
    return pod.metadata.deletion_timestamp is None and pod.status.phase != "Failed"


def _does_the_same(pod: V1Pod, request: V1Pod) -> bool:
    """Whether a pod does the same as the requested one: the same command, input and output URIs."""
    return what_of(pod.spec.containers[0].args) == what_of(request.spec.containers[0].args)


def _told(error: ApiException) -> str:
    """The API server's own message."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
