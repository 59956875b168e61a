"""Watches one pod until it ends: in the triggerer, or in the task's own process."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.triggers.base import TriggerEvent
from kubernetes.client import V1Pod
from kubernetes_asyncio.client import ApiException as AsyncApiException

from orchestration.pod_status import Ended, Ending, ended, not_started

POLL_SECONDS = 3.0
_Stamp = tuple[datetime, str]
PATIENCE_SECONDS = 300.0  # wait for an API server that does not answer; the pod continues meanwhile
RIGHTS_SECONDS = 20.0  # wait for one that refuses: a starting server answers before it knows the rights


class PodLog:
    """A container's log, of which each line is passed on once."""

    def __init__(self, hook: AsyncKubernetesHook, name: str, namespace: str, container: str) -> None:
        self.name = name
        self._hook, self._namespace, self._container = hook, namespace, container
        self._last: _Stamp | None = None

    async def hand_on(self, pod: V1Pod, to: Any, prefix: str = "") -> None:
        """Write the new lines to a log, each after a prefix."""
        if pod.status.phase == "Pending":
            return
        try:
            lines = await self._lines()
        except AsyncApiException as error:
            if error.status not in (400, 404, 500):  # a container that is gone has no log; the pod's status has its end
                raise
            return
        for line in lines:
            text, _, words = line.partition(" ")
            stamp = _stamp(text)
            if stamp is not None and (self._last is None or stamp > self._last):
                self._last = stamp
                to.info("%s%s", prefix, words)

    async def _lines(self) -> list[str]:
        seconds = None
        if self._last is not None:
            seconds = int((datetime.now(UTC) - self._last[0]).total_seconds()) + 2
        read = self._hook.read_logs(self.name, self._namespace, self._container, since_seconds=seconds)
        return list(await read)


class EmbeddingPodTrigger(KubernetesPodTrigger):
    """Watches a pod, and passes its log on. Ends with one event: how the pod ended, and `trigger_kwargs`.

    The time limits count from the times in the pod's status, so they also hold if another triggerer takes over.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Path and arguments of this trigger."""
        _, arguments = super().serialize()
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The event that ends the watch."""
        yield TriggerEvent(await self.outcome())  # type: ignore[no-untyped-call]

    async def outcome(self) -> dict[str, Any]:
        """How the pod ended."""
        end = await self._watched()
        self._fired_event = True  # from here on, this trigger does not clean up after a stopped task
        return {
            **self.trigger_kwargs,
            "name": self.pod_name,
            "namespace": self.pod_namespace,
            "ending": str(end.ending),
            "message": end.message,
        }

    async def _watched(self) -> Ended:
        answered, refused = time.monotonic(), None
        while True:
            try:
                end = await self._look()
                answered, refused = time.monotonic(), None
            except AsyncApiException as error:
                if error.status == 403:
                    refused = refused or time.monotonic()
                    end = self._refused(error, refused)
                else:
                    end = self._unanswered(error, answered)
            except Exception as error:  # the client may raise anything while the API server is away
                end = self._unanswered(error, answered)
            if end is not None:
                return end
            if time.time() > self.trigger_kwargs.get("deadline", float("inf")):
                return Ended(Ending.FAILED, f"pod {self.pod_name} took longer than the task's execution_timeout")
            await asyncio.sleep(self.poll_interval)

    @cached_property
    def _pod_log(self) -> PodLog:
        return self._log_of(self.pod_name)

    def _log_of(self, name: str) -> PodLog:
        return PodLog(self.hook, name, self.pod_namespace, self.base_container_name)

    async def _look(self) -> Ended | None:
        """How the pod ended; None while it waits or runs."""
        return await self._look_at(self._pod_log)

    async def _look_at(self, pod_log: PodLog, prefix: str = "") -> Ended | None:
        """How a pod ended; None while it waits or runs. New lines of its log are handed on."""
        pod = await self._pod(pod_log.name)
        end = ended(pod, self.base_container_name) or not_started(
            pod, schedule_seconds=self.schedule_timeout, start_seconds=self.startup_timeout
        )
        if pod is not None:
            await pod_log.hand_on(pod, self.log, prefix)
        return end

    def _refused(self, error: AsyncApiException, since: float) -> Ended | None:
        message = f"the connection to Kubernetes has too few rights: {error.reason} at pod {self.pod_name}"
        if time.monotonic() - since >= RIGHTS_SECONDS:
            return Ended(Ending.MISTAKE, message)
        self.log.warning("%s; trying again", message)
        return None

    def _unanswered(self, error: Exception, answered: float) -> Ended | None:
        if time.monotonic() - answered > PATIENCE_SECONDS:
            return Ended(Ending.OUTAGE, f"the Kubernetes API does not answer ({type(error).__name__}: {error})")
        self.log.warning("the Kubernetes API does not answer; the pod continues: %s", type(error).__name__)
        return None

    async def _pod(self, name: str) -> V1Pod | None:
        try:
            return await self.hook.get_pod(name, self.pod_namespace)
        except AsyncApiException as error:
            if error.status == 404:
                return None
            raise


def _stamp(text: str) -> _Stamp | None:
    """The time of a line, sortable to the nanosecond; None if the kubelet's text is not a log line."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    fraction = re.search(r"\.(\d+)", text)
    return moment, fraction.group(1).ljust(9, "0") if fraction else ""
