"""Whether a model works on this machine: what a new image, node or model is tried with before a shard is."""

import io
import time
from typing import Any

import torch
from PIL import Image

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.program import usable
from image_retrieval.errors import UserError
from image_retrieval.imaging.scenes import draw_scenes
from image_retrieval.models.towers import image_tower
from image_retrieval.settings import Settings


def check_model(model: ModelOptions, size: tuple[int, int] | None, settings: Settings, device: str) -> dict[str, Any]:
    """Load a model, embed one drawn picture, of the model's own size unless one is given (width, height).

    Returns model, digest, device, dimensions, size, and seconds of both steps.
    Loading includes fetching weights that are not here yet. Raises UserError where the model does not load, or where
    its vector is not finite or not of length 1.
    """
    started = time.monotonic()
    tower = image_tower(model, settings, device)
    seconds = time.monotonic() - started
    width, height = size or tower.size
    (scene,) = draw_scenes(1)
    picture = Image.open(io.BytesIO(scene.data)).convert("RGB").resize((width, height))
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(1, height, width, 3)
    loaded = time.monotonic()
    vectors = tower.embed(pixels)
    embedded = time.monotonic()
    if not usable(vectors.numpy()).all():
        raise UserError(
            f"model {model.source!r} as {model.dtype} on {device}: its vector of a drawn picture is not finite or not "
            "of length 1: try --dtype=float32, or check the weights"
        )
    return {
        "model": model.source,
        "revision": model.revision,
        "digest": tower.digest,
        "dtype": model.dtype,
        "device": device,
        "dimensions": vectors.shape[1],
        "size": [width, height],
        "load_seconds": round(seconds, 3),
        "first_embedding_seconds": round(embedded - loaded, 3),
    }
