"""Vectors of the pictures and texts of pairs, by a model's own towers."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.batches import in_batches
from image_retrieval.models.towers import ImageTower, TextTower
from image_retrieval.objects import ObjectStore
from image_retrieval.training.pairs.paired import Paired

BATCH = 64
Vectors = NDArray[np.float32]


def pixels_of(pictures: Sequence[Image.Image], size: tuple[int, int]) -> torch.Tensor:
    """uint8 (pictures, height, width, 3) of pictures at a model's width and height."""
    resized = [np.asarray(picture.resize(size, Image.Resampling.LANCZOS)) for picture in pictures]
    return torch.from_numpy(np.stack(resized))


def picture_vectors(tower: ImageTower, paired: Paired, store: ObjectStore) -> Vectors:
    """(pictures, dimensions), each row of length 1, of all pictures with texts."""
    pictures = paired.pictures(store, range(len(paired.index)))
    found = [tower.embed(pixels_of(batch, tower.size)).numpy() for batch in in_batches(pictures, BATCH)]
    return np.concatenate(found)


def text_vectors(tower: TextTower, texts: Sequence[str]) -> Vectors:
    """(texts, dimensions), each row of length 1."""
    found = [tower.embed(texts[at : at + BATCH]).numpy() for at in range(0, len(texts), BATCH)]
    return np.concatenate(found or [np.empty((0, tower.dimensions), np.float32)])
