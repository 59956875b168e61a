"""Probes the models of collections whose images come through the service, where no shard does."""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from image_retrieval.batches import in_order
from image_retrieval.models.chance import LEAST_VECTORS
from image_retrieval.models.probes import COPIES, Pixels, Vector, are_due
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

    images: float = math.nan
    at: float = -math.inf
    came: int = 0

    def is_due(self) -> bool:
        return self.many_came() or time.monotonic() - self.at > LOOK_SECONDS

    def many_came(self) -> bool:
        missing = LEAST_VECTORS - self.images
        return self.came >= (missing if missing > 0 else COPIES)


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
        if shown.collection.distance == "l2" or shown.is_calibrated:
            return
        with self._lock:
            look = self._looks.setdefault(shown.name, _Look())
            look.came += 1
            if self._thread is not None or not look.is_due():
                return
            self._thread = threading.Thread(target=self._follow, args=(shown, look), name="prober", daemon=True)
            self._thread.start()

    def _follow(self, shown: Shown, look: _Look) -> None:
        """Look at a collection, and again if many images have come meanwhile."""
        while True:
            with self._lock:
                look.at, look.came = time.monotonic(), 0
            self._look(shown, look)
            with self._lock:
                if not look.many_came():
                    self._thread = None
                    return

    def _look(self, shown: Shown, look: _Look) -> None:
        """Probe the model, if that is due. What goes wrong is one line in the log."""
        try:
            with connect(self._settings) as connection:
                look.images = calibrations.count_vectors(connection, shown.collection.space, None).vectors
                digest = models.known_digest(connection, shown.model.name)
            if look.images < LEAST_VECTORS or digest is None:
                return
            uri = uri_of(shown.collection, self._settings)
            if are_due(ObjectStore(self._settings), uri, digest, int(look.images)):
                self._probe(shown, digest)
        except Exception as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            log.warning("the model was not probed", collection=shown.name, reason=reason)

    def _probe(self, shown: Shown, digest: str) -> None:
        encoder, model = self._encoder, shown.model
        width, height = encoder.facts(model)["size"]

        def embed(pixels: Pixels) -> Vector:
            size = pixels.shape[2], pixels.shape[1]
            return np.stack(
                [*in_order(lambda each: encoder.image(model, each.tobytes(), size, digest), pixels, AT_ONCE)]
            )

        def embed_texts(texts: Sequence[str]) -> Vector:
            return np.stack([*in_order(lambda text: encoder.text(model, text, digest), texts, AT_ONCE)])

        texts = embed_texts if shown.reads_texts else None
        probe(shown.collection, digest, (width, height), embed, texts, self._settings)
