"""A query picture goes the way of a stored one: same decoding, same resampling, same model; a text by the text side."""

import numpy as np
from numpy.typing import NDArray

from image_retrieval.collection import Collection
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.models.digest import require_digest
from image_retrieval.settings import Settings

Vector = NDArray[np.float32]


def embed_text(text: str, collection: Collection, settings: Settings, *, digest: str | None = None) -> Vector:
    """The vector (dimensions,) of a text. `digest` as below. Raises UserError where the model reads no texts."""
    from image_retrieval.models.towers import text_tower

    tower = text_tower(collection.model, settings, settings.device)
    require_digest(tower.digest, digest, collection.model.source)
    vector: Vector = tower.embed([text]).numpy()[0]
    return vector


def embed_image(data: bytes, collection: Collection, settings: Settings, *, digest: str | None = None) -> Vector:
    """The vector (dimensions,) of a picture's bytes.

    `digest` is what the collection's vectors were made with, where that is known. Raises ImageRejected, and UserError
    where the model is another one by now.
    """
    import torch

    from image_retrieval.models.towers import image_tower

    tower = image_tower(collection.model, settings, settings.device)
    require_digest(tower.digest, digest, collection.model.source)
    width, height = collection.resample.target_size or tower.size
    picture = resample(data, collection.resample.of_size((width, height)), Limits.of(settings))
    pixels = torch.frombuffer(bytearray(picture.pixels), dtype=torch.uint8).view(1, height, width, 3)
    vector: Vector = tower.embed(pixels).numpy()[0]
    return vector
