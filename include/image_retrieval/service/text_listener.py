"""Embeds texts for SQL: `CALL images.embed_text(…)` notifies the listener, which embeds the text and writes the row."""

import json
import threading
import time
from contextlib import suppress

import structlog

from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.service.asking import Asker, asked_by
from image_retrieval.service.catalog import shown_collection
from image_retrieval.service.errors import Refused
from image_retrieval.service.state import Service
from image_retrieval.store.connection import Pooled, notifications
from image_retrieval.store.failures import DatabaseError
from image_retrieval.store.queries import listen

log = structlog.get_logger()
AGAIN_SECONDS = 5  # after a lost connection
LOOK_SECONDS = 1  # how often it checks whether to end


class Listener:
    """A thread with its own connection, from `start` to `close`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="listener", daemon=True)

    def start(self) -> None:
        """Start listening."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._ended.set()
        self._thread.join(2 * LOOK_SECONDS)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                with notifications(self._service.settings) as connection:
                    listen(connection)
                    while not self._ended.is_set():
                        for notice in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                            self._embed(notice.payload)
            except Pooled as error:
                log.error(str(error))
                return
            except UserError as error:
                log.warning("connection lost, listening again soon", error=str(error), seconds=AGAIN_SECONDS)
                self._ended.wait(AGAIN_SECONDS)

    def _embed(self, payload: str) -> None:
        """Embed the text of a notification. Its sender waits for the row, and gives up if none comes."""
        with suppress(ValueError, KeyError, TypeError):
            asked = json.loads(payload)
            collection, text = str(asked["collection"]), str(asked["text"])
            try:
                with asked_by(Asker("SQL", time.monotonic() + self._service.settings.service_seconds)):
                    with self._service.transaction() as connection:
                        shown = shown_collection(connection, self._service.settings, collection)
                    captions = shown.by_captions()
                    for model in (captions, shown if shown.reads_texts or not captions else None):
                        if model is not None:
                            self._service.kept_text_vector(text, model)
            except (Refused, UserError, ImageRejected, DatabaseError) as error:
                log.warning("text not embedded", collection=collection, error=str(error))
