"""Reads a pod's status: how the program or the cluster ended it, or why it cannot start."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from image_retrieval.exit_codes import MISTAKE, OUT_OF_MEMORY, OUTAGE, TERMINATED

if TYPE_CHECKING:
    from kubernetes.client import V1ContainerStateTerminated, V1ContainerStateWaiting, V1Pod, V1PodCondition

PULL_SECONDS = 60  # a registry may fail for a moment; a name that does not exist stays wrong
PULL_FAILS = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}
WRONG = {"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError"}
KILLED = 137  # 128 + SIGKILL
# the reasons that kubelet, scheduler and node lifecycle give when they evict a pod or do not admit it
TAKEN_AWAY = {"Evicted", "Preempting", "Preempted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"}
NOT_ADMITTED = {"NodeAffinity", "UnexpectedAdmissionError"}
LOST_AFTER = timedelta(seconds=30)  # beyond its grace period a pod that still seems to run has lost its node


class Ending(StrEnum):
    """What happens to a task after its pod has ended."""

    DONE = "done"
    MISTAKE = "mistake"  # never retried: the same pod would end the same way
    OUTAGE = "outage"  # retried, later
    FAILED = "failed"  # retried, later
    OUT_OF_MEMORY = "out_of_memory"  # replaced at once by a pod with half the batch
    DISRUPTED = "disrupted"  # replaced at once: the program did nothing wrong


@dataclass(frozen=True, slots=True)
class Ended:
    """How a pod ended, and why, in one line."""

    ending: Ending
    message: str


def ended(pod: "V1Pod | None", container: str) -> Ended | None:
    """How a pod ended; None while it waits or runs. A pod that no longer exists counts as disrupted."""
    if pod is None:
        return Ended(Ending.DISRUPTED, "the pod was deleted by somebody else")
    name, status = pod.metadata.name, pod.status
    if status.phase == "Succeeded":
        return Ended(Ending.DONE, f"pod {name} is done")
    state = _terminated(pod, container)
    if state is not None and state.exit_code == 0:
        return Ended(Ending.DONE, f"pod {name} is done")
    if reason := _disruption(pod, container):
        return Ended(Ending.DISRUPTED, f"pod {name} was taken away: {reason}")
    if status.reason == "DeadlineExceeded":
        return Ended(Ending.FAILED, f"pod {name} took longer than IMAGE_RETRIEVAL_POD_RUN_SECONDS allows")
    if state is not None:
        return _by_exit_status(name, state)
    if status.phase == "Failed":
        return Ended(Ending.FAILED, f"pod {name} failed: {status.reason or 'no reason given'} {status.message or ''}")
    return None


def _terminated(pod: "V1Pod", container: str) -> "V1ContainerStateTerminated | None":
    for found in pod.status.container_statuses or ():
        if found.name == container:
            return found.state.terminated
    return None


def _disruption(pod: "V1Pod", container: str) -> str | None:
    """Why the cluster ended a pod, or why a pod will not end by itself."""
    status = pod.status
    over = status.phase == "Failed"
    reason = status.reason or ""
    if over and (reason in TAKEN_AWAY | NOT_ADMITTED or reason.startswith("OutOf")):  # OutOfcpu, OutOfnvidia.com/gpu
        return f"{reason} {status.message or ''}".strip()
    for condition in status.conditions or ():
        if over and condition.type == "DisruptionTarget" and condition.status == "True":
            return f"{condition.reason} {condition.message or ''}".strip()
    deadline = pod.metadata.deletion_timestamp  # the end of its grace period
    if deadline is None:
        return None
    if over or _terminated(pod, container) is not None:  # kubelets may drop a container's status on deletion
        return "it was deleted"
    if datetime.now(UTC) > deadline + LOST_AFTER:
        return "it was deleted, and its node does not answer"
    return None


def _by_exit_status(name: str, state: "V1ContainerStateTerminated") -> Ended:
    words = last_words(state.message)
    if state.reason == "OOMKilled":
        return Ended(Ending.OUT_OF_MEMORY, f"pod {name} used more memory than IMAGE_RETRIEVAL_POD_MEMORY allows")
    match state.exit_code:
        case code if code == MISTAKE:
            return Ended(Ending.MISTAKE, words or f"pod {name} ended with {code}")
        case code if code == OUTAGE:
            return Ended(Ending.OUTAGE, words or f"pod {name} ended with {code}")
        case code if code == OUT_OF_MEMORY:
            return Ended(Ending.OUT_OF_MEMORY, words or f"pod {name} ended with {code}")
        case code if code in (TERMINATED, KILLED):
            return Ended(Ending.DISRUPTED, f"pod {name} was ended by a signal")
        case code:
            return Ended(Ending.FAILED, f"pod {name} ended with {code} ({state.reason}): {words or 'no last words'}")


def last_words(message: str | None) -> str:
    """The last line of the program's output, without the program's name."""
    lines = (message or "").strip().splitlines()
    return lines[-1].removeprefix("image-retrieval: ") if lines else ""


def not_started(pod: "V1Pod | None", *, schedule_seconds: float, start_seconds: float) -> Ended | None:
    """Why a pod will not run, by a time limit or its containers' state; None while it may."""
    if pod is None or pod.status.phase != "Pending":
        return None
    name, scheduled = pod.metadata.name, _condition(pod, "PodScheduled")
    if scheduled is None or scheduled.status != "True":
        if _seconds_since(pod.metadata.creation_timestamp) < schedule_seconds:
            return None
        message = (scheduled.message if scheduled else None) or "the scheduler gave no reason"
        return Ended(Ending.OUTAGE, f"no node took pod {name} within {schedule_seconds:g} seconds: {message}")
    waited = _seconds_since(scheduled.last_transition_time)
    waiting = _waiting(pod)
    if waiting is not None and waited >= PULL_SECONDS:
        message = f"{waiting.reason}: {waiting.message or ''}".strip(": ")
        if waiting.reason in WRONG:
            return Ended(Ending.MISTAKE, f"pod {name} cannot run: {message}")
        if waiting.reason in PULL_FAILS:
            return Ended(Ending.OUTAGE, f"the image of pod {name} cannot be pulled: {message}")
    if waited >= start_seconds:
        message = (waiting.reason if waiting else None) or "no reason given"
        return Ended(Ending.OUTAGE, f"pod {name} did not run within {start_seconds:g} seconds on its node: {message}")
    return None


def _condition(pod: "V1Pod", name: str) -> "V1PodCondition | None":
    return next((found for found in pod.status.conditions or () if found.type == name), None)


def _waiting(pod: "V1Pod") -> "V1ContainerStateWaiting | None":
    for found in pod.status.container_statuses or ():
        return found.state.waiting
    return None


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
