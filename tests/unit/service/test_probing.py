"""The thread that probes models looks at every collection that has become due."""

import threading
from types import SimpleNamespace
from typing import Any

from image_retrieval.models.chance import LEAST_VECTORS
from image_retrieval.service.probing import Prober
from image_retrieval.settings import Settings


def shown(name: str) -> Any:
    return SimpleNamespace(name=name, collection=SimpleNamespace(distance="cosine"), brings_calibrations=False)


def test_a_collection_that_fills_while_another_is_probed_comes_next(monkeypatch):
    looked, may_end = [], threading.Semaphore(0)

    def look(self: Prober, found: Any) -> None:
        looked.append(found.shown.name)
        assert may_end.acquire(timeout=30)
        found.images = LEAST_VECTORS

    monkeypatch.setattr(Prober, "_look", look)
    prober = Prober(Settings(database_url=""), SimpleNamespace())  # type: ignore[arg-type]
    prober.came(shown("first"))
    thread = prober._thread
    for _ in range(LEAST_VECTORS):
        prober.came(shown("second"))
    may_end.release(2)
    thread.join(30)
    assert looked == ["first", "second"]
    assert prober._thread is None
