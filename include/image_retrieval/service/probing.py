"""Probes the models of collections whose images come through the service, where no shard does."""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from image_retrieval.batches import in_order
from image_retrieval.logs import reason
from image_retrieval.models.chance import LEAST_VECTORS
from image_retrieval.models.probes import COPIES, Pixels, Vectors, are_due
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.probing import probe, uri_of
from image_retrieval.pipeline.shown import Shown
from image_retrieval.service.encoder import Encoder
from image_retrieval.settings import Settings
from image_retrieval.store import calibrations, models
from image_retrieval.store.connection import connect

AT_ONCE = 8  # texts or pictures
LOOK_SECONDS = 600.0  # after which the next image of a collection has it looked at again

log = structlog.get_logger()


@dataclass(slots=True)
class _Look:
    """How many images a collection had when it was looked at, when that was, and how many have come since."""

    shown: Shown
    images: float = math.nan
    at: float = -math.inf
    came: int = 0

    def is_due(self) -> bool:
        missing = LEAST_VECTORS - self.images
        many = self.came >= (missing if missing > 0 else COPIES)
        return many or (self.came > 0 and time.monotonic() - self.at > LOOK_SECONDS)


class Prober:
    """Probes one model at a time in a thread of its own, through the service's encoder. Thread-safe.

    It asks for a few texts or pictures at a time, so people's searches wait for no more than those.
    """

    def __init__(self, settings: Settings, encoder: Encoder) -> None:
        self._settings, self._encoder = settings, encoder
        self._looks: dict[str, _Look] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def came(self, shown: Shown) -> None:
        """An image has come to a collection."""
        if shown.collection.distance == "l2" or shown.brings_calibrations:
            return
        with self._lock:
            look = self._looks.setdefault(shown.name, _Look(shown))
            look.shown, look.came = shown, look.came + 1
            if self._thread is None and look.is_due():
                self._thread = threading.Thread(target=self._follow, name="prober", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        """Look at collections for as long as one is due."""
        while (look := self._next()) is not None:
            self._look(look)

    def _next(self) -> _Look | None:
        """The collection to look at; without one, the thread ends."""
        with self._lock:
            look = next((each for each in self._looks.values() if each.is_due()), None)
            if look is None:
                self._thread = None
            else:
                look.at, look.came = time.monotonic(), 0
            return look

    def _look(self, look: _Look) -> None:
        """Probe the model, if that is due. What goes wrong is one line in the log."""
        shown = look.shown
        try:
            with connect(self._settings) as connection:
                look.images = calibrations.count_vectors(connection, shown.collection.space, None).vectors
                digest = models.known_digest(connection, shown.model.name)
            if look.images < LEAST_VECTORS or digest is None:
                return
            uri = uri_of(shown.collection, self._settings)
            if are_due(ObjectStore(self._settings), uri, digest, int(look.images), in_hand=False):
                self._probe(shown, digest)
        except Exception as error:
            log.warning("the model was not probed", collection=shown.name, reason=reason(error))

    def _probe(self, shown: Shown, digest: str) -> None:
        encoder, model = self._encoder, shown.model
        width, height = encoder.facts(model)["size"]

        def embed(pixels: Pixels) -> Vectors:
            size = pixels.shape[2], pixels.shape[1]
            return np.stack(
                [*in_order(lambda each: encoder.image(model, each.tobytes(), size, digest), pixels, AT_ONCE)]
            )

        def embed_texts(texts: Sequence[str]) -> Vectors:
            return np.stack([*in_order(lambda text: encoder.text(model, text, digest), texts, AT_ONCE)])

        texts = embed_texts if shown.reads_texts else None
        probe(shown.collection, digest, (width, height), embed, texts, self._settings)
