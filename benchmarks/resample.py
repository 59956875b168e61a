"""Ours beside naive Pillow and libvips' thumbnail, on the same files: `python -m benchmarks.resample --images DIR`.

Without --images it draws scenes. Ratios are of CPU seconds in one process: the contestants take turns on each file, and
the fastest of several passes counts, as a machine may be shared. Quality is PSNR against full-size Lanczos.
"""

import argparse
import io
import json
import math
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["VIPS_CONCURRENCY"] = "1"  # read while libvips is imported

import numpy as np
import psutil
import pyvips
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.decoders import Decoders
from image_retrieval.imaging.resample import fit, read, resample
from image_retrieval.imaging.scenes import draw_scenes
from image_retrieval.pipeline.resampling import READERS_PER_CORE
from image_retrieval.settings import Settings

OPTIONS = ResampleOptions(keep=False)
EXACT = OPTIONS.model_copy(update={"exact": True})
SETTINGS = Settings()
LIMITS = Limits.of(SETTINGS)
SIZE = OPTIONS.target_size
PASSES = 3


def ours(data: bytes) -> bytes:
    return fit(read(data, OPTIONS, LIMITS), OPTIONS).tobytes()


def ours_and_fingerprints(data: bytes) -> bytes:
    return resample(data, OPTIONS, LIMITS).pixels


def naive(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS).tobytes()


def draft(data: bytes) -> bytes:
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (SIZE[0] * 2, SIZE[1] * 2))
    return image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS, reducing_gap=2).tobytes()


def vips(data: bytes) -> bytes:
    image = pyvips.Image.thumbnail_buffer(data, SIZE[0], height=SIZE[1], size="force").colourspace("srgb")
    pixels: bytes = (image.flatten(background=255) if image.hasalpha() else image).write_to_memory()
    return pixels


CONTESTANTS: dict[str, Callable[[bytes], bytes]] = {
    "ours": ours,
    "ours + fingerprints": ours_and_fingerprints,
    "naive Pillow": naive,
    "Pillow draft, gap 2": draft,
    "pyvips thumbnail": vips,
}


def load(folder: Path | None) -> list[tuple[str, bytes]]:
    """Format and bytes of each image of a folder, or of drawn scenes."""
    if folder is None:
        files = [scene.data for scene in draw_scenes(100)]
    else:
        files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    images = []
    for data in files:
        try:
            images.append((resample(data, OPTIONS, LIMITS).format, data))
        except ImageRejected:
            continue
    return images


def psnr(found: bytes, wanted: bytes) -> float:
    """Likeness in decibels; 99 of equal pictures."""
    error = np.mean((np.frombuffer(found, np.uint8).astype(float) - np.frombuffer(wanted, np.uint8)) ** 2)
    return 10 * math.log10(255**2 / error) if error else 99.0


def measure(images: list[tuple[str, bytes]]) -> tuple[dict[str, dict[str, list[float]]], dict[str, list[float]]]:
    """CPU seconds of each contestant by format, and its decibels, a number an image."""
    seconds: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in CONTESTANTS}
    decibels: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for format, data in images:
        wanted = resample(data, EXACT, LIMITS).pixels
        best = dict.fromkeys(CONTESTANTS, math.inf)
        for turn in range(PASSES):
            for name, contestant in CONTESTANTS.items():
                started = time.process_time()
                found = contestant(data)
                best[name] = min(best[name], time.process_time() - started)
                if turn == 0:
                    decibels[name].append(psnr(found, wanted))
        for name, spent in best.items():
            seconds[name][format].append(spent)
    return seconds, decibels


def throughput(images: list[tuple[str, bytes]], cores: set[int]) -> tuple[float, float]:
    """Images a second through the decoding processes on these cores, and the largest one's peak memory in MB."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        settings = SETTINGS.model_copy(update={"processes": len(cores)})
        with Decoders(OPTIONS, settings) as decoders, ThreadPoolExecutor(READERS_PER_CORE * len(cores)) as pool:
            started = time.perf_counter()
            for _ in pool.map(lambda image: decoders.resample(image[1]), images):
                pass
            rate = len(images) / (time.perf_counter() - started)
            return rate, max(_peak_mb(process.pid) for process in psutil.Process().children())
    finally:
        os.sched_setaffinity(0, everywhere)


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM:")).split()[1]) / 1024


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="a folder of images; drawn scenes where it is left out")
    images = load(parser.parse_args().images)
    seconds, decibels = measure(images)
    formats = sorted({format for format, _ in images}, key=lambda name: -sum(format == name for format, _ in images))
    totals = {name: sum(map(sum, found.values())) for name, found in seconds.items()}

    heads = [f"{name} ({sum(format == name for format, _ in images)})" for name in formats]
    print(f"{'CPU ms an image':<22}" + "".join(f"{head:>12}" for head in [*heads, "all"]) + "   dB min  median")
    for name, found in seconds.items():
        means = [1000 * statistics.mean(found[format]) for format in formats] + [1000 * totals[name] / len(images)]
        quality = f"{min(decibels[name]):>9.1f}{statistics.median(decibels[name]):>8.1f}"
        print(f"{name:<22}" + "".join(f"{mean:>12.2f}" for mean in means) + quality)

    cores = sorted(os.sched_getaffinity(0))
    rates: dict[int, list[float]] = {1: [], len(cores): []}
    peak = 0.0
    for turn in range(PASSES):
        for some in ({cores[turn % len(cores)]}, set(cores)):
            rate, memory = throughput(images, some)
            rates[len(some)].append(rate)
            peak = max(peak, memory)
    one, every = max(rates[1]), max(rates[len(cores)])
    print(f"\ndecoding processes, with fingerprints: {one:.1f} images/s on one core, {every:.1f} on {len(cores)}")
    print(f"peak memory of a process: {peak:.0f} MB")
    result = {
        "images_per_second": round(every, 1),
        "ratio_to_naive": round(totals["naive Pillow"] / totals["ours"], 2),
        "ratio_to_pyvips": round(totals["pyvips thumbnail"] / totals["ours"], 2),
        "psnr_db_min": round(min(decibels["ours"]), 1),
        "psnr_db_median": round(statistics.median(decibels["ours"]), 1),
        "scaling": round(every / one, 2),
        "peak_memory_mb": round(peak),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
