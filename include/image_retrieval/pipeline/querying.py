"""Queries: turns pictures and texts into vectors, combines several into one, and converts scores to similarities.

A query picture is decoded, resampled and embedded like a stored one; a text is embedded by the model's text side.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.models.calibration import IMAGES, Calibration, text_direction
from image_retrieval.models.digest import require_digest
from image_retrieval.settings import Settings
from image_retrieval.values import Region

if TYPE_CHECKING:
    from image_retrieval.models.towers import ImageTower

Vector = NDArray[np.float32]
LEAST_LENGTH = 1e-3  # of a sum of unit vectors: below it, rounding decides the direction


class TermsCancel(UserError):
    """The terms of a search cancel each other out."""


def weighted_sum(terms: Sequence[tuple[Vector, float]]) -> Vector:
    """The weighted sum of vectors (dimensions,), each scaled to length 1 first; the sum is scaled to length 1, too.

    Raises TermsCancel if they cancel each other out.
    """
    total: Vector = np.sum([np.float32(weight / np.linalg.norm(vector)) * vector for vector, weight in terms], axis=0)
    length = float(np.linalg.norm(total))
    if length < LEAST_LENGTH:
        raise TermsCancel("the terms cancel each other out: change a weight, or leave a term out")
    return total / np.float32(length)


def direction_of(texts: Sequence[tuple[str, float]], *, images: bool) -> str | None:
    """The direction whose calibration applies to a search: pictures, or texts of one language; None for a mixture.

    Texts come with their weights: the language of a text with a negative weight does not count.
    """
    if images:
        return None if texts else IMAGES
    directions = {text_direction(text) for text, weight in texts if weight > 0}
    return directions.pop() if len(directions) == 1 else None


def least_similarity(min_score: float | None, calibration: Calibration | None) -> float | None:
    """The least similarity that reaches a score; None if every one does, infinity if none does."""
    least = calibration.cosine(min_score) if calibration and min_score is not None else min_score
    return None if least == -math.inf else least


def embed_text(text: str, collection: Collection, settings: Settings, *, digest: str | None = None) -> Vector:
    """The vector (dimensions,) of a text. `digest` as below. Raises UserError if the model reads no texts."""
    from image_retrieval.models.towers import text_tower

    tower = text_tower(collection.model, settings, settings.device)
    require_digest(tower.digest, digest, collection.model.source)
    vector: Vector = tower.embed([text]).numpy()[0]
    return vector


def embed_image(
    data: bytes, collection: Collection, settings: Settings, *, digest: str | None = None, region: Region | None = None
) -> Vector:
    """The vector (dimensions,) of a picture's bytes, or of a region of it.

    `digest` is that of the model files that made the collection's vectors, if known. Raises ImageRejected, and
    UserError if the model's files are different now.
    """
    from image_retrieval.models.towers import image_tower

    tower = image_tower(collection.model, settings, settings.device)
    require_digest(tower.digest, digest, collection.model.source)
    vector: Vector = image_vectors([data], tower, collection, settings, region)[0]
    return vector


def image_vectors(
    pictures: Sequence[bytes],
    tower: "ImageTower",
    collection: Collection,
    settings: Settings,
    region: Region | None = None,
) -> Vector:
    """The vectors (pictures, dimensions) of pictures' bytes, or of a region of each, in one batch.

    Raises ImageRejected.
    """
    import torch

    width, height = collection.resample.target_size or tower.size
    options, limits = collection.resample.of_size((width, height), region), Limits.of(settings)
    packed = bytearray().join(resample(data, options, limits).pixels for data in pictures)
    pixels = torch.frombuffer(packed, dtype=torch.uint8).view(len(pictures), height, width, 3)
    vectors: Vector = tower.embed(pixels).numpy()
    return vectors
