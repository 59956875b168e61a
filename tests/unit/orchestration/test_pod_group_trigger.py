"""The pods of a training end together: as the one that was the cause."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration import pod_group_trigger
from orchestration.pod_group_trigger import PodGroupTrigger, cause
from orchestration.pod_groups import pod_names
from orchestration.pod_status import Ended, Ending


class Scripted(PodGroupTrigger):
    """Each of its pods ends as it is told, after so many looks; None: it does not end."""

    async def _look_at(self, pod_log, prefix=""):
        looks, ending = self.script[pod_log.name]
        self.script[pod_log.name] = looks - 1, ending
        return None if looks > 0 or ending is None else Ended(ending, f"{prefix}{ending}")


def outcome(*script):
    watch = Scripted(
        "train-7", "here", datetime.now(UTC), "base", poll_interval=0.001, trigger_kwargs={"machines": len(script)}
    )
    watch.script = dict(zip(pod_names("train-7", len(script)), script, strict=True))
    return asyncio.run(asyncio.wait_for(watch.outcome(), 10))


endings = st.sampled_from(list(Ending))


@given(st.lists(endings, min_size=1, max_size=5))
def test_a_mistake_and_a_disruption_come_before_what_follows_from_them(ends):
    found = cause([Ended(ending, "") for ending in ends]).ending
    assert found in ends
    assert found is Ending.MISTAKE or Ending.MISTAKE not in ends
    assert found is not Ending.OUTAGE or set(ends) <= {Ending.OUTAGE, Ending.DONE}
    assert found is not Ending.DONE or set(ends) == {Ending.DONE}


def test_the_first_machine_is_waited_for_and_decides_that_all_is_done():
    assert outcome((9, Ending.DONE), (0, Ending.DONE))["ending"] == "done"
    assert outcome((0, Ending.DONE), (9, None))["ending"] == "done"


def test_the_cause_may_be_seen_after_its_consequence():
    found = outcome((0, Ending.OUTAGE), (5, Ending.DISRUPTED), (1, Ending.OUTAGE))
    assert (found["ending"], found["name"], found["message"]) == ("disrupted", "train-7", "machine 1: disrupted")


def test_a_pod_that_does_not_end_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(pod_group_trigger, "OTHERS_SECONDS", 0.02)
    assert outcome((0, None), (0, Ending.DISRUPTED))["ending"] == "disrupted"


@pytest.mark.parametrize("ending", list(Ending))
def test_one_machine_ends_as_its_pod(ending):
    assert outcome((2, ending))["ending"] == ending


def test_a_trigger_survives_its_triggerer():
    watch = PodGroupTrigger("train-7", "here", datetime.now(UTC), "base", trigger_kwargs={"machines": 2})
    path, arguments = watch.serialize()
    assert path == "orchestration.pod_group_trigger.PodGroupTrigger"
    assert PodGroupTrigger(**arguments).serialize() == (path, arguments)
