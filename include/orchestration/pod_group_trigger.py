"""Watches the pods of a training until all have ended, or one has ended badly."""

import time
from functools import cached_property

from orchestration.pod_groups import pod_names
from orchestration.pod_status import Ended, Ending
from orchestration.pod_trigger import EmbeddingPodTrigger, PodLog

OTHERS_SECONDS = 30.0  # wait for the ends of the other pods, of which one may be the cause
CAUSES = (Ending.MISTAKE, Ending.OUT_OF_MEMORY, Ending.DISRUPTED, Ending.FAILED, Ending.OUTAGE, Ending.DONE)


class PodGroupTrigger(EmbeddingPodTrigger):
    """Watches as many pods as `trigger_kwargs["machines"]` says, of which `pod_name` is the first."""

    _since: float | None = None

    async def _look(self) -> Ended | None:
        """How the group ended, if it has. The first machine writes the model: once it is done, all are."""
        for machine, (name, pod_log) in enumerate(self._logs.items()):
            if name not in self._ends:
                end = await self._look_at(pod_log, f"machine {machine}: " if machine else "")
                if end is not None:
                    self._ends[name] = end
        first = self._ends.get(self.pod_name)
        if first is not None and first.ending is Ending.DONE:
            return first
        if all(end.ending is Ending.DONE for end in self._ends.values()):
            return None
        self._since = self._since or time.monotonic()
        if len(self._ends) < len(self._logs) and time.monotonic() - self._since < OTHERS_SECONDS:
            return None
        return cause(list(self._ends.values()))

    @cached_property
    def _ends(self) -> dict[str, Ended]:
        return {}

    @cached_property
    def _logs(self) -> dict[str, PodLog]:
        names = pod_names(self.pod_name, self.trigger_kwargs["machines"])
        return {name: self._log_of(name) for name in names}


def cause(ends: list[Ended]) -> Ended:
    """The end that came to the others: a pod that has lost another one ends as for an outage."""
    return min(ends, key=lambda end: CAUSES.index(end.ending))
