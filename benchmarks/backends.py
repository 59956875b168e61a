"""The backends beside plain torch: `python -m benchmarks.backends [--model SOURCE | --shape dinov2-small]`.

Each embeds the same drawn scenes; they take turns, torch in float32 before each of them. The median of the ratios of
such pairs counts, as a machine may be shared. Getting ready is timed once: loading, converting, compiling, first batch.
"""

import argparse
import io
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import get_args

import structlog
import torch
from PIL import Image

from benchmarks.embed import MODELS, make_model
from benchmarks.needs import model as folder_of_model
from benchmarks.needs import reported, run, whole
from image_retrieval.collection import Dtype
from image_retrieval.embedding.backends import engine_of, installed
from image_retrieval.embedding.engine import Engine
from image_retrieval.models.towers import ImageTower, load_image_tower
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Backend

CANDIDATES: tuple[tuple[Backend, Dtype], ...] = (
    ("torch", "bfloat16"),
    ("compile", "float32"),
    ("compile", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("onnx", "float32"),
)


def pictures(count: int, width: int, height: int) -> torch.Tensor:
    """Drawn scenes, uint8 (count, height, width, 3)."""
    scenes = [Image.open(io.BytesIO(scene.data)).convert("RGB") for scene in draw_scenes(count)]
    bytes_of = [bytearray(scene.resize((width, height)).tobytes()) for scene in scenes]
    return torch.stack([torch.frombuffer(given, dtype=torch.uint8).view(height, width, 3) for given in bytes_of])


def seconds(engine: Engine, pixels: torch.Tensor) -> float:
    started = time.perf_counter()
    with torch.inference_mode():
        engine.network(pixels)
    return time.perf_counter() - started


def compare(
    tower: ImageTower, folder: Path, given: tuple[Backend, Dtype], pixels: torch.Tensor, turns: int
) -> dict[str, float]:
    """One backend's figures beside torch in float32."""
    backend, dtype = given
    plain = Engine(tower, len(pixels))
    started = time.perf_counter()
    if backend != "openvino" and dtype != "float32":
        tower = load_image_tower(folder, dtype=dtype, device="cpu", use_cls_token=True)
    engine = engine_of(tower, len(pixels), backend, dtype)
    with torch.inference_mode():
        found = engine.network(pixels)
        ready = time.perf_counter() - started
        cosine = float((found * plain.network(pixels)).sum(dim=1).min())
    pairs = [(seconds(plain, pixels), seconds(engine, pixels)) for _ in range(turns)]
    return {
        "images_per_second": round(len(pixels) / statistics.median(other for _, other in pairs), 1),
        "torch_images_per_second": round(len(pixels) / statistics.median(one for one, _ in pairs), 1),
        "ratio": round(statistics.median(one / other for one, other in pairs), 2),
        "least_cosine": round(cosine, 5),
        "ready_seconds": round(ready, 1),
    }


def main() -> None:
    """Measure, and print a line for each backend, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", type=folder_of_model, metavar="FOLDER", help="a model's folder")
    which.add_argument("--shape", choices=MODELS, default="dinov2-small", help="random weights of this shape")
    parser.add_argument("--batch", type=whole(1, 4096), default=8, metavar="N")
    parser.add_argument("--turns", type=whole(1, 1000), default=7, metavar="N")
    parser.add_argument("--without", action="append", default=[], choices=get_args(Backend), help="leave a backend out")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.model or Path(scratch, "model")
        if not options.model:
            make_model(options.shape, folder)
        tower = load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)
        pixels = pictures(options.batch, *tower.size)
        name = options.model.name if options.model else options.shape
        with reported(model=name, batch=options.batch, turns=options.turns) as found:
            for backend, dtype in CANDIDATES:
                if installed(backend) and backend not in options.without:
                    found[f"{backend} {dtype}"] = compare(tower, folder, (backend, dtype), pixels, options.turns)


if __name__ == "__main__":
    run(main)
