"""Asks for a run when hints of changed objects wait: an event trigger, which the triggerer runs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

LOOK_SECONDS = 2.0
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
        watch = None
        while True:
            try:
                watch = watch or await sync_to_async(self._watch)()
                waiting = await asyncio.to_thread(watch.look)
                if waiting is not None:
                    yield TriggerEvent({"images": waiting.images})  # type: ignore[no-untyped-call]
                await asyncio.sleep(LOOK_SECONDS)
            except Exception as error:  # the triggerer would end this watch for good
                self.log.warning("%s cannot be watched: %s; trying again", self.collection, error)
                watch = None
                await asyncio.sleep(REST_SECONDS)

    def _watch(self) -> Any:
        from image_retrieval.pipeline.watching import Watch
        from orchestration.configuration import declared_collection, task_settings

        return Watch(declared_collection(self.collection), task_settings())
