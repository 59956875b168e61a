"""Asks for a run when hints of changed objects wait: an event trigger, which the triggerer runs."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

LOOK_SECONDS = 2.0
RENEW_SECONDS = 60.0  # after which a changed collections.yaml or connection holds
REST_SECONDS = 30.0  # after an error


class HintTrigger(BaseEventTrigger):
    """Watches one collection, and fires when a run over its hinted objects is due."""

    def __init__(self, collection: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.collection = collection

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Path and arguments of this trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"collection": self.collection}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """An event for each run that is due, for ever. What fails is logged, and tried again."""
        watch: Any = None
        renew_at = 0.0
        while True:
            try:
                if time.monotonic() >= renew_at:
                    watch = await sync_to_async(self._watch)(watch)
                    renew_at = time.monotonic() + RENEW_SECONDS
                waiting = await asyncio.to_thread(watch.look)
                if waiting is not None:
                    yield TriggerEvent({"images": waiting.images})  # type: ignore[no-untyped-call]
                await asyncio.sleep(LOOK_SECONDS)
            except Exception as error:  # the triggerer would end this watch for good
                self.log.warning("%s cannot be watched: %s; trying again", self.collection, error)
                renew_at = 0.0
                await asyncio.sleep(REST_SECONDS)

    def _watch(self, former: Any) -> Any:
        """The watch with the entry and the settings as they are."""
        from image_retrieval.pipeline.watching import Watch
        from orchestration.configuration import declared_collection, task_settings

        entry, settings = declared_collection(self.collection), task_settings()
        if former is None:
            return Watch(entry, settings)
        former.renew(entry, settings)
        return former
