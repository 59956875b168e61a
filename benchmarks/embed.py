"""The whole engine beside the bare model: `python -m benchmarks.embed --model dinov2-small [--dtype …] [--device …]`.

Weights are random, of the real shape, which is enough for speed. The bare model runs one batch that lies on the device
again and again; the engine goes from a packed shard to the Parquet file of its vectors. The two take turns, and the
median of the turns counts, as a machine may be shared. Vectors of a lesser dtype are then held to those of float32.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import structlog
import torch
import transformers
from transformers import (
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    PreTrainedModel,
    SiglipConfig,
    SiglipModel,
    ViTConfig,
    ViTModel,
)

from benchmarks.needs import require, run, whole
from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.backends import load_engine
from image_retrieval.embedding.embed_shard import embed_shard
from image_retrieval.embedding.engine import Engine
from image_retrieval.models.towers import image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings, load_settings
from image_retrieval.shards import ROWS_PER_GROUP, resampled_schema, writing

SIDE = 224
# dense bf16 TFLOP/s of the data sheets
PEAK = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121}


def vit(width: int, layers: int, heads: int) -> PreTrainedModel:
    return ViTModel(
        ViTConfig(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width),
        add_pooling_layer=False,
    )


def dinov2(width: int, layers: int, heads: int) -> PreTrainedModel:
    return Dinov2Model(
        Dinov2Config(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, patch_size=14, image_size=518
        )
    )


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "dinov2-small": lambda: dinov2(384, 12, 6),
    "dinov2-base": lambda: dinov2(768, 12, 12),
    "dinov2-large": lambda: dinov2(1024, 24, 16),
    "vit-base": lambda: vit(768, 12, 12),
    "vit-large": lambda: vit(1024, 24, 16),
    "clip-base": lambda: CLIPModel(CLIPConfig()),
    "siglip-base": lambda: SiglipModel(SiglipConfig()),
}


def make_model(name: str, folder: Path) -> None:
    """Write a model of the named shape with random weights."""
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    MODELS[name]().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": SIDE, "width": SIDE}}))


def pack(uri: str, images: int, settings: Settings) -> None:
    """Write a packed shard of noise, in row groups as the resampling writes them."""
    schema = resampled_schema(SIDE, SIDE)
    noise = np.random.default_rng(0)
    with writing(ObjectStore(settings), uri, schema, compression="lz4", use_dictionary=False) as out:
        for start in range(0, images, ROWS_PER_GROUP):
            rows = range(start, min(start + ROWS_PER_GROUP, images))
            columns = {name: pa.nulls(len(rows), schema.field(name).type) for name in schema.names}
            names = pa.array([str(row) for row in rows])
            columns |= {"id": pa.array(rows, pa.int64()), "image_id": names, "uri": names, "etag": names}
            columns |= {"size": pa.array([1] * len(rows), pa.int64())}
            columns |= {"last_modified": pa.array([0] * len(rows), pa.timestamp("us", tz="UTC"))}
            pixels = [noise.bytes(SIDE * SIDE * 3) for _ in rows]
            columns |= {"pixels": pa.array(pixels, schema.field("pixels").type)}
            out.write_table(pa.table(columns, schema=schema))


def bare(engine: Engine, batch: int, images: int) -> float:
    """Images a second of the network alone, on one batch that is on the device already."""
    device = engine.tower.device
    pixels = torch.randint(0, 256, (batch, SIDE, SIDE, 3), dtype=torch.uint8, device=device)
    batches = -(-images // batch)
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(batches):
            vectors = engine.network(pixels)
        vectors.cpu()  # waits
    return batches * batch / (time.perf_counter() - started)


def whole_engine(
    engine: Engine, model: ModelOptions, resampled: str, embeddings: str, images: int, settings: Settings
) -> float:
    """Images a second from the packed shard to the written vectors."""
    started = time.perf_counter()
    embed_shard(resampled, embeddings, model, lambda: engine, settings)
    rate = images / (time.perf_counter() - started)
    ObjectStore(settings).delete([embeddings])
    return rate


def least_cosine(engine: Engine, model: ModelOptions, settings: Settings, device: str) -> float:
    """Of a batch of noise: of the vector of each image to that in float32, the one furthest away."""
    exact = image_tower(model.model_copy(update={"dtype": "float32"}), settings, device)
    pixels = torch.randint(0, 256, (engine.size, SIDE, SIDE, 3), dtype=torch.uint8, device=exact.device)
    with torch.inference_mode():
        return float((engine.network(pixels) * exact.network(pixels)).sum(dim=1).min())


def flops_an_image(engine: Engine) -> float:
    """Floating-point operations of one image, two for each multiplication with addition."""
    from torch.utils.flop_counter import FlopCounterMode

    pixels = torch.zeros((1, SIDE, SIDE, 3), dtype=torch.uint8, device=engine.tower.device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        engine.tower.network(pixels)
    return float(counter.get_total_flops())


def peak_memory_mb(device: torch.device) -> float:
    """Of the GPU where there is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path(f"/proc/{psutil.Process().pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM:")).split()[1]) / 1024


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="dinov2-small")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=whole(1), default=16, metavar="N")
    parser.add_argument("--images", type=whole(1), default=128, metavar="N", help="of a turn")
    parser.add_argument("--turns", type=whole(1), default=5, metavar="N")
    parser.add_argument("--work", metavar="URI", help="where the packed shard and the vectors lie; a temporary folder")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings = load_settings()
    if settings.backend == "auto":  # the engine is compared with torch itself
        settings = settings.model_copy(update={"backend": "torch"})
    if settings.backend == "openvino":
        require("openvino")
    try:
        torch.empty(0, device=options.device)
    except (RuntimeError, AssertionError) as error:
        parser.error(f"--device {options.device!r} cannot be used: {str(error).splitlines()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        work = (options.work or folder).rstrip("/")
        make_model(options.model, Path(folder, "model"))
        resampled, embeddings = f"{work}/benchmark-resampled.parquet", f"{work}/benchmark-embeddings.parquet"
        pack(resampled, options.images, settings)
        model = ModelOptions(name="benchmark", source=f"{folder}/model", dtype=options.dtype, batch_size=options.batch)
        engine = load_engine(model, settings, options.device)
        for _ in range(2):  # compile, allocate, and warm the caches
            bare(engine, options.batch, options.batch)
        rates: dict[str, list[float]] = {"bare": [], "whole": []}
        for _ in range(options.turns):
            rates["bare"].append(bare(engine, options.batch, options.images))
            rates["whole"].append(whole_engine(engine, model, resampled, embeddings, options.images, settings))
        ObjectStore(settings).delete([resampled])
        peak = peak_memory_mb(engine.tower.device)
        cosine = least_cosine(engine, model, settings, options.device) if options.dtype != "float32" else None
    ratios = [one / other for one, other in zip(rates["whole"], rates["bare"], strict=True)]
    device = engine.tower.device
    found = {
        **{name: getattr(options, name) for name in ("model", "dtype", "device", "batch", "images", "turns")},
        "backend": settings.backend,
        "dimensions": engine.tower.dimensions,
        "images_per_second": round(statistics.median(rates["whole"]), 1),
        "bare_images_per_second": round(statistics.median(rates["bare"]), 1),
        "efficiency": round(statistics.median(ratios), 3),
    }
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        rate = next((tflops for key, tflops in PEAK.items() if key in name), None)
        if rate:
            found["mfu"] = round(statistics.median(rates["whole"]) * flops_an_image(engine) / (rate * 1e12), 3)
    found["peak_memory_mb"] = round(peak)
    if cosine is not None:
        found["least_cosine_to_float32"] = round(cosine, 5)
    print(f"{options.model}, {options.dtype}, {options.device}, {settings.backend}, batches of {options.batch}")
    print(f"{'turn':<6}{'bare':>10}{'engine':>10}{'ratio':>8}   images/s")
    for turn, (one, other) in enumerate(zip(rates["bare"], rates["whole"], strict=True), 1):
        print(f"{turn:<6}{one:>10.1f}{other:>10.1f}{other / one:>8.3f}")
    print(json.dumps(found))


if __name__ == "__main__":
    run(main)
