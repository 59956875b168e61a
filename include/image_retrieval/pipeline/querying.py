"""A query picture goes the way of a stored one: same decoding, same resampling, same model."""

from pathlib import Path

import numpy as np

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.settings import Settings


def embed_file(
    path: Path, collection: Collection, settings: Settings
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """The vector (dimensions,) of a picture on this machine. Raises UserError, ImageRejected."""
    import torch

    from image_retrieval.models.towers import image_tower

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    picture = resample(data, collection.resample, Limits.of(settings))
    width, height = collection.resample.target_size
    pixels = torch.frombuffer(bytearray(picture.pixels), dtype=torch.uint8).view(1, height, width, 3)
    tower = image_tower(collection.model, settings, settings.device)
    vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = tower.embed(pixels).numpy()[0]
    return vector
