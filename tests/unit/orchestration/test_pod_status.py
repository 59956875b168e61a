"""What a pod's status says of its end, and of why it does not begin."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import (
    V1ContainerState,
    V1ContainerStateTerminated,
    V1ContainerStateWaiting,
    V1ContainerStatus,
    V1ObjectMeta,
    V1Pod,
    V1PodCondition,
    V1PodStatus,
)

from image_retrieval.exit_codes import MISTAKE, OUT_OF_MEMORY, OUTAGE, TERMINATED
from orchestration.pod_status import Ending, ended, not_started

NOW = datetime.now(UTC)


def pod(phase="Running", *, code=None, reason=None, words=None, why=None, waiting=None, conditions=(), **metadata):
    """A pod in a phase, whose container ended with a code or waits for a reason."""
    state = V1ContainerState()
    if code is not None:
        state.terminated = V1ContainerStateTerminated(exit_code=code, reason=reason or "Error", message=words)
    if waiting is not None:
        state.waiting = V1ContainerStateWaiting(reason=waiting, message="in the kubelet's words")
    status = V1ContainerStatus(
        name="base", state=state, image="i", image_id="", ready=False, restart_count=0, started=False
    )
    return V1Pod(
        metadata=V1ObjectMeta(name="embed-7", creation_timestamp=metadata.pop("created", NOW), **metadata),
        status=V1PodStatus(phase=phase, reason=why, container_statuses=[status], conditions=list(conditions)),
    )


def scheduled(status="True", *, ago=0.0, message=None):
    return V1PodCondition(
        type="PodScheduled", status=status, message=message, last_transition_time=NOW - timedelta(seconds=ago)
    )


@pytest.mark.parametrize(
    ("found", "ending"),
    [
        (None, Ending.DISRUPTED),
        (pod("Succeeded", code=0), Ending.DONE),
        (pod("Running", code=0), Ending.DONE),  # a sidecar of the cluster's own may still run
        (pod("Failed", code=MISTAKE), Ending.MISTAKE),
        (pod("Failed", code=OUTAGE), Ending.OUTAGE),
        (pod("Failed", code=OUT_OF_MEMORY), Ending.OUT_OF_MEMORY),
        (pod("Failed", code=137, reason="OOMKilled"), Ending.OUT_OF_MEMORY),
        (pod("Failed", code=137), Ending.DISRUPTED),
        (pod("Failed", code=TERMINATED), Ending.DISRUPTED),
        (pod("Failed", code=1), Ending.FAILED),
        (pod("Failed", code=TERMINATED, why="DeadlineExceeded"), Ending.FAILED),
        (pod("Failed", why="Evicted"), Ending.DISRUPTED),
        (pod("Failed", why="Preempting", code=1), Ending.DISRUPTED),
        (pod("Failed", why="NodeShutdown"), Ending.DISRUPTED),
        (pod("Failed", why="OutOfnvidia.com/gpu"), Ending.DISRUPTED),
        (pod("Failed", code=1, conditions=[V1PodCondition(type="DisruptionTarget", status="True")]), Ending.DISRUPTED),
        (pod("Running", code=1, deletion_timestamp=NOW), Ending.DISRUPTED),
        (pod("Failed", waiting="ContainerCreating", deletion_timestamp=NOW), Ending.DISRUPTED),  # as kubelets leave it
        (pod("Running", deletion_timestamp=NOW - timedelta(minutes=1)), Ending.DISRUPTED),  # its node is lost
    ],
)
def test_an_end_is_told_apart(found, ending):
    assert ended(found, "base").ending is ending


@pytest.mark.parametrize(
    "found",
    [
        pod("Pending"),
        pod("Running"),
        pod("Running", deletion_timestamp=NOW + timedelta(hours=1)),  # it saves what it has
        pod("Running", conditions=[V1PodCondition(type="DisruptionTarget", status="True")]),
    ],
)
def test_a_pod_that_may_still_do_something_has_not_ended(found):
    assert ended(found, "base") is None


@given(
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    code=st.none() | st.integers(0, 255),
    why=st.none() | st.text(max_size=12),
    words=st.none() | st.text(max_size=40),
)
def test_every_status_has_a_meaning_in_one_line(phase, code, why, words):
    found = ended(pod(phase, code=code, why=why, words=words), "base")
    if found is None:
        assert phase in ("Pending", "Running", "Unknown")
        assert code is None
    else:
        assert (found.ending is Ending.DONE) == (phase == "Succeeded" or code == 0)
        assert found.message


def test_the_last_words_are_the_message():
    words = "2026 [info] embedding\nimage-retrieval: model 'x' does not exist\n"
    assert ended(pod("Failed", code=MISTAKE, words=words), "base").message == "model 'x' does not exist"


LIMITS = {"schedule_seconds": 1000, "start_seconds": 2000}


@pytest.mark.parametrize(
    ("found", "ending", "words"),
    [
        (
            pod("Pending", created=NOW - timedelta(seconds=1001), conditions=[scheduled("False", message="0/3 nodes")]),
            Ending.OUTAGE,
            "0/3 nodes",
        ),
        (pod("Pending", waiting="ImagePullBackOff", conditions=[scheduled(ago=61)]), Ending.OUTAGE, "image"),
        (pod("Pending", waiting="CreateContainerConfigError", conditions=[scheduled(ago=61)]), Ending.MISTAKE, "words"),
        (pod("Pending", waiting="InvalidImageName", conditions=[scheduled(ago=61)]), Ending.MISTAKE, "InvalidImage"),
        (pod("Pending", waiting="ContainerCreating", conditions=[scheduled(ago=2001)]), Ending.OUTAGE, "2000 seconds"),
    ],
)
def test_a_pod_that_does_not_start_says_why(found, ending, words):
    told = not_started(found, **LIMITS)
    assert told.ending is ending
    assert words in told.message


# times in the future: however long the tests before this one take, no limit is over
@pytest.mark.parametrize(
    "found",
    [
        None,
        pod("Running"),
        pod("Pending", created=NOW - timedelta(seconds=-3600)),
        pod("Pending", waiting="ErrImagePull", conditions=[scheduled(ago=-3600)]),  # registries stumble
        pod("Pending", waiting="ContainerCreating", conditions=[scheduled(ago=-3600)]),
        # a node scaled up on demand: long unscheduled, now new on its node
        pod("Pending", created=NOW - timedelta(hours=1), conditions=[scheduled(ago=-3600)]),
    ],
)
def test_a_pod_may_take_its_time_to_start(found):
    assert not_started(found, **LIMITS) is None
