"""Each line of a pod's log is handed on once, in the order of its time."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes_asyncio.client import ApiException

from orchestration import pod_trigger
from orchestration.pod_status import Ending
from orchestration.pod_trigger import EmbeddingPodTrigger, _stamp


def kubelet_writes(moment: datetime, nanoseconds: int, zone: str) -> str:
    """RFC 3339 with nanoseconds, their trailing zeros cut as older kubelets do."""
    fraction = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"


@given(
    st.lists(
        st.tuples(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(0, 10**9 - 1)),
        min_size=2,
        max_size=2,
    )
)
def test_stamps_sort_as_their_times_do(moments):
    (first, a), (second, b) = [(moment.replace(microsecond=0), part) for moment, part in moments]
    stamps = _stamp(kubelet_writes(first, a, "Z")), _stamp(kubelet_writes(second, b, "Z"))
    assert (stamps[0] < stamps[1]) == ((first, a) < (second, b))


def test_stamps_know_their_zone():
    assert _stamp("2026-11-21T12:00:00.5+08:00")[0] == datetime(2026, 11, 21, 4, 0, 0, 500_000, tzinfo=UTC)


def test_what_is_no_line_has_no_stamp():
    assert _stamp("unable") is None


class Refusing(EmbeddingPodTrigger):
    """Its API server refuses a number of times, then knows no such pod any more."""

    refusals = 0

    async def _pod(self, name):  # noqa: ARG002
        if self.refusals:
            self.refusals -= 1
            raise ApiException(403, "Forbidden")


@pytest.mark.parametrize(("patience", "ending"), [(10, Ending.DISRUPTED), (0, Ending.MISTAKE)])
def test_an_api_server_that_starts_may_refuse_for_a_while(monkeypatch, patience, ending):
    monkeypatch.setattr(pod_trigger, "RIGHTS_SECONDS", patience)
    watch = Refusing("embed-7", "here", datetime.now(UTC), "base", poll_interval=0.01)
    watch.refusals = 3
    assert asyncio.run(watch.outcome())["ending"] == ending


def test_a_trigger_survives_its_triggerer():
    given_to = {
        "pod_name": "embed-7",
        "pod_namespace": "here",
        "base_container_name": "base",
        "trigger_start_time": datetime(2026, 11, 21, tzinfo=UTC),
        "trigger_kwargs": {"batch_size": 8, "disruptions": 1, "deadline": 1.0},
    }
    path, arguments = EmbeddingPodTrigger(**given_to).serialize()
    assert path == "orchestration.pod_trigger.EmbeddingPodTrigger"
    assert EmbeddingPodTrigger(**arguments).serialize() == (path, arguments)
    assert arguments.items() >= given_to.items()
