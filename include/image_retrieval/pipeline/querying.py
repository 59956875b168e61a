"""A query picture goes the way of a stored one: same decoding, same resampling, same model."""

import numpy as np

from image_retrieval.collection import Collection
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.models.digest import require_digest
from image_retrieval.settings import Settings


def embed_image(
    data: bytes, collection: Collection, settings: Settings, *, digest: str | None = None
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
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
    vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = tower.embed(pixels).numpy()[0]
    return vector
