"""Fits the scores of a trained model on pictures of its training set, so that they mean something from the start."""

from pathlib import Path

import numpy as np
import torch

from image_retrieval.batches import in_batches
from image_retrieval.models.calibration import IMAGES
from image_retrieval.models.chance import LEAST_VECTORS, fit_images, random_pairs
from image_retrieval.models.probes import COPIES, Pixels, Vectors, copies_of
from image_retrieval.models.towers import load_image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.training.packs import read_index, read_pictures
from image_retrieval.training.sampled import Sampled

SAMPLE = 500  # pictures that are compared
BATCH = 32
PLACES = ("shard", "offset", "size")


def fitted_scores(model: Path, pack: Sampled, store: ObjectStore, device: str) -> dict[str, dict[str, float | str]]:
    """The content of a calibration.json for a model in a folder, fitted as on a collection of the pack's pictures.

    It is made of held-out pictures, if there are enough; the training tells the others apart better than new ones.
    Raises NotFitted.
    """
    tower = load_image_tower(model, dtype="float32", device=device, use_cls_token=True)

    def embed(pixels: Pixels) -> Vectors:
        parts = [tower.embed(torch.from_numpy(np.stack(part))).numpy() for part in in_batches(pixels, BATCH)]
        return np.concatenate(parts)

    held_out = len(pack.held_out) >= LEAST_VECTORS
    among = pack.held_out if held_out else pack.learnt
    places = among[np.linspace(0, len(among) - 1, min(SAMPLE, len(among))).astype(np.int64)].tolist()
    index = read_index(store, pack.uri, PLACES)
    pixels = np.stack([np.asarray(one.resize(tower.size)) for one in read_pictures(store, pack.uri, index, places)])
    vectors = embed(pixels)
    copies = copies_of(pixels[:COPIES], vectors[:COPIES], embed)
    found = fit_images(random_pairs(vectors), copies, len(index))
    source = f"{len(places)} pictures of the training set, {'held out' if held_out else 'learnt from'}"
    return {IMAGES: {"slope": round(found.slope, 4), "middle": round(found.middle, 5), "source": source}}
