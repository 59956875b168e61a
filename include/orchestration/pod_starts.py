"""Why a pod does not come to run, told from its status."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestration.pod_endings import Ended, Ending

if TYPE_CHECKING:
    from kubernetes.client import V1ContainerStateWaiting, V1Pod, V1PodCondition

PULL_SECONDS = 60  # a registry may fail for a moment; a name that does not exist stays wrong
PULL_FAILS = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}
WRONG = {"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError"}


def not_started(pod: "V1Pod | None", *, schedule_seconds: float, start_seconds: float) -> Ended | None:
    """Why a pod will not run, where a time limit or its containers say so; None while it may."""
    if pod is None or pod.status.phase != "Pending":
        return None
    name, scheduled = pod.metadata.name, _condition(pod, "PodScheduled")
    if scheduled is None or scheduled.status != "True":
        if _seconds_since(pod.metadata.creation_timestamp) < schedule_seconds:
            return None
        told = (scheduled.message if scheduled else None) or "the scheduler said nothing"
        return Ended(Ending.OUTAGE, f"no node took pod {name} within {schedule_seconds:g} seconds: {told}")
    waited = _seconds_since(scheduled.last_transition_time)
    waiting = _waiting(pod)
    if waiting is not None and waited >= PULL_SECONDS:
        told = f"{waiting.reason}: {waiting.message or ''}".strip(": ")
        if waiting.reason in WRONG:
            return Ended(Ending.MISTAKE, f"pod {name} cannot run: {told}")
        if waiting.reason in PULL_FAILS:
            return Ended(Ending.OUTAGE, f"the image of pod {name} cannot be had: {told}")
    if waited >= start_seconds:
        told = (waiting.reason if waiting else None) or "no reason given"
        return Ended(Ending.OUTAGE, f"pod {name} did not run within {start_seconds:g} seconds on its node: {told}")
    return None


def _condition(pod: "V1Pod", name: str) -> "V1PodCondition | None":
    return next((found for found in pod.status.conditions or () if found.type == name), None)


def _waiting(pod: "V1Pod") -> "V1ContainerStateWaiting | None":
    for found in pod.status.container_statuses or ():
        return found.state.waiting
    return None


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
