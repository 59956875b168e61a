"""A process that embeds: `python -m image_retrieval.service.model_worker MODEL`, with the model's options as JSON.

It loads the model, reports that it is ready, and then reads batches from standard input and writes answers to standard
output. A batch and an answer are two messages each, framed by messages.py: a JSON head, then pixels or
vectors. The process ends when its input ends.
"""

import json
import sys
from typing import Any

import torch

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.messages import read_message, write_message
from image_retrieval.models.description import describe, is_text_encoder
from image_retrieval.models.source import model_folder
from image_retrieval.models.towers import image_tower, text_tower
from image_retrieval.settings import Settings, load_settings


def answer(
    head: dict[str, Any], pixels: bytes, model: ModelOptions, settings: Settings
) -> tuple[dict[str, Any], bytes]:
    """Head and float32 vectors (count, dimensions) for a batch of pixels (count, height, width, 3) or texts."""
    try:
        if "texts" in head:
            vectors = text_tower(model, settings, settings.device).embed(head["texts"])
        else:
            packed = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(*head["shape"])
            vectors = image_tower(model, settings, settings.device).embed(packed)
    except UserError as error:
        return {"refused": str(error)}, b""
    except Exception as error:  # the model's, for this batch only
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return {"failed": f"{type(error).__name__}: {first[:300]}"}, b""
    return {"shape": list(vectors.shape)}, vectors.numpy().tobytes()


def _load(model: ModelOptions, settings: Settings) -> dict[str, Any]:
    """Load a model's sides, while no request's time is running. Returns its facts; without pictures, no size."""
    folder = model_folder(model.source, model.revision, settings)
    if is_text_encoder(folder):
        words = text_tower(model, settings, settings.device)
        return {"digest": words.digest, "size": None, "dimensions": words.dimensions}
    tower = image_tower(model, settings, settings.device)
    if describe(folder).family == "dual_encoder":
        text_tower(model, settings, settings.device)
    return {"digest": tower.digest, "size": tower.size, "dimensions": tower.dimensions}


def main() -> None:
    """Answer batches until the input ends."""
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a model prints must not reach the answers
    settings, model = load_settings(), ModelOptions.model_validate_json(sys.argv[1])
    try:
        ready = _load(model, settings)
    except UserError as error:
        ready = {"refused": str(error)}
    write_message(answers, json.dumps(ready).encode())
    answers.flush()
    while "refused" not in ready:
        try:
            head, pixels = json.loads(read_message(given)), read_message(given)
        except EOFError:
            return
        for part in _messages(*answer(head, pixels, model, settings)):
            write_message(answers, part)
        answers.flush()


def _messages(head: dict[str, Any], vectors: bytes) -> tuple[bytes, bytes]:
    return json.dumps(head).encode(), vectors


if __name__ == "__main__":
    main()
