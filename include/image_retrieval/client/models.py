"""The models of one client, loaded when first needed and kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from image_retrieval.client.errors import ClientClosed
from image_retrieval.client.pictures import DECODING
from image_retrieval.errors import UserError
from image_retrieval.models.digest import require_digest
from image_retrieval.models.source import model_folder
from image_retrieval.pipeline.querying import Vector, image_vectors
from image_retrieval.pipeline.shown import Shown
from image_retrieval.settings import Settings
from image_retrieval.values import Region

if TYPE_CHECKING:
    from image_retrieval.models.towers import ImageTower, TextTower

KEPT = 4  # towers; the least recently used one is dropped
Tower = TypeVar("Tower", "ImageTower", "TextTower")


class Models:
    """Towers of models. Thread-safe; one thread computes at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._towers: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.RLock()
        self._closed = False

    def texts(self, texts: Sequence[str], shown: Shown) -> Vector:
        """The vectors (texts, dimensions) of texts. Raises UserError if the model reads no texts, or has changed."""
        with self._lock:
            tower = self._text_tower(shown)
            vectors: Vector = tower.embed(texts).numpy()
        return _finite(vectors, shown)

    def images(self, pictures: Sequence[bytes], shown: Shown, region: Region | None = None) -> Vector:
        """The vectors (pictures, dimensions) of pictures' bytes, or of a region of each.

        Raises ImageRejected and UserError.
        """
        with self._lock:
            tower = self._image_tower(shown)
            with DECODING:
                vectors = image_vectors(pictures, tower, shown.collection, self._settings, region)
        return _finite(vectors, shown)

    def close(self) -> None:
        """Free all towers, and their GPU memory."""
        with self._lock:
            self._closed = True
            on_gpu = any(tower.device.type == "cuda" for tower in self._towers.values())
            self._towers.clear()
        if on_gpu:
            import torch

            torch.cuda.empty_cache()

    def _image_tower(self, shown: Shown) -> "ImageTower":
        from image_retrieval.models.towers import load_image_tower

        device = self._settings.device
        model = shown.model
        return self._loaded(
            "image",
            shown,
            lambda folder: load_image_tower(
                folder, dtype=model.dtype, device=device, use_cls_token=model.use_cls_token
            ),
        )

    def _text_tower(self, shown: Shown) -> "TextTower":
        from image_retrieval.models.towers import load_text_tower

        device = self._settings.device
        return self._loaded(
            "text", shown, lambda folder: load_text_tower(folder, dtype=shown.model.dtype, device=device)
        )

    def _loaded(self, kind: str, shown: Shown, load: "Callable[[Any], Tower]") -> Tower:
        if self._closed:
            raise ClientClosed("this client is closed: create another one")
        key = kind, shown.model
        tower: Tower | None = self._towers.get(key)
        if tower is None:
            tower = load(model_folder(shown.model.source, shown.model.revision, self._settings))
            self._towers[key] = tower
            if len(self._towers) > KEPT:
                self._towers.popitem(last=False)
        self._towers.move_to_end(key)
        require_digest(tower.digest, shown.digest, shown.model.source)
        return tower


def _finite(vectors: Vector, shown: Shown) -> Vector:
    if not np.isfinite(vectors).all():
        raise UserError(
            f"model {shown.model.name!r} makes vectors that are not finite: set its dtype to float32 or bfloat16"
        )
    return vectors
