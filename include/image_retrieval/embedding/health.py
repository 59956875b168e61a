"""Checks whether a model works on this machine, before a new image, node or model gets shards."""

import io
import time
from typing import Any

import pyarrow as pa
import torch
from PIL import Image

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.backends import load_engine
from image_retrieval.embedding.reader import Batch
from image_retrieval.errors import UserError
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings


def check_model(model: ModelOptions, size: tuple[int, int] | None, settings: Settings, device: str) -> dict[str, Any]:
    """Load a model, and embed one drawn picture of `size` (width, height), by default the model's own.

    Returns model, digest, device, backend, dimensions, size, and seconds of both steps. Loading includes fetching
    missing weights. Raises UserError if the model cannot be loaded, or its vector is not finite or not of length 1.
    """
    started = time.monotonic()
    engine = load_engine(model, settings, device)
    seconds = time.monotonic() - started
    width, height = size or engine.tower.size
    (scene,) = draw_scenes(1)
    picture = Image.open(io.BytesIO(scene.data)).convert("RGB").resize((width, height))
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(1, height, width, 3)
    loaded = time.monotonic()
    (found,) = engine.embed([Batch(pa.array([0]), pixels)])
    embedded = time.monotonic()
    if found.reasons != [None]:
        advice = "" if model.dtype in ("auto", "float32") else "try --dtype=float32, or "
        raise UserError(
            f"model {model.source!r} as {model.dtype} on {device}: its vector of a test picture is not finite or not "
            f"of length 1: {advice}check the weights"
        )
    return {
        "model": model.source,
        "revision": model.revision,
        "digest": engine.tower.digest,
        "dtype": model.dtype,
        "device": device,
        "backend": "torch" if settings.backend == "auto" else settings.backend,
        "dimensions": engine.tower.dimensions,
        "size": [width, height],
        "load_seconds": round(seconds, 3),
        "first_embedding_seconds": round(embedded - loaded, 3),
    }
