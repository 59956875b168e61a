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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

os.environ["VIPS_CONCURRENCY"] = "1"  # read while libvips is imported

import numpy as np
import psutil
import pyvips
from PIL import Image

from benchmarks.needs import folder, run
from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.decoders import Decoders
from image_retrieval.imaging.resample import fit, read, resample
from image_retrieval.pipeline.resampling import READERS_PER_CORE
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings

OPTIONS = ResampleOptions(keep=False)
EXACT = OPTIONS.model_copy(update={"exact": True})
SETTINGS = Settings()
LIMITS = Limits.of(SETTINGS)
SIZE = OPTIONS.target_size
PASSES = 3
PART = 50  # images


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


def load(place: Path | None) -> list[tuple[str, bytes]]:
    """Format and bytes of each image of a folder, or of drawn scenes."""
    if place is None:
        files = [scene.data for scene in draw_scenes(100)]
    else:
        files = [path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()]
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


@contextmanager
def decoding(cores: set[int]) -> Iterator[Callable[[list[tuple[str, bytes]]], float]]:
    """Decoding processes on these cores: a function that takes images through them and tells the seconds it took."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # which processes and threads inherit
    settings = SETTINGS.model_copy(update={"processes": len(cores)})
    with Decoders(OPTIONS, settings) as decoders, ThreadPoolExecutor(READERS_PER_CORE * len(cores)) as pool:

        def work(images: list[tuple[str, bytes]]) -> float:
            started = time.perf_counter()
            for _ in pool.map(lambda image: decoders.resample(image[1]), images):
                pass
            return time.perf_counter() - started

        os.sched_setaffinity(0, everywhere)
        yield work


def throughput(images: list[tuple[str, bytes]]) -> tuple[float, float, float]:
    """Images a second on one core and on all, and the largest decoding process's peak memory in MB.

    The two take turns on a part of the images, and the shortest of several times counts for each part.
    """
    cores = os.sched_getaffinity(0)
    # the largest first, so that at the end of a part, which is short, no core waits for another
    parts = [
        sorted(images[start : start + PART], key=lambda image: -len(image[1])) for start in range(0, len(images), PART)
    ]
    best = {name: [math.inf] * len(parts) for name in ("one", "all")}
    with decoding({min(cores)}) as one, decoding(cores) as every:
        for _ in range(PASSES):
            for number, part in enumerate(parts):
                for name, work in (("one", one), ("all", every)):
                    best[name][number] = min(best[name][number], work(part))
        peak = max(_peak_mb(process.pid) for process in psutil.Process().children())
    return len(images) / sum(best["one"]), len(images) / sum(best["all"]), peak


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM:")).split()[1]) / 1024


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=folder, help="a folder of images; drawn scenes where it is left out")
    images = load(parser.parse_args().images)
    if not images:
        raise SystemExit("--images holds no file that is a picture")
    seconds, decibels = measure(images)
    formats = sorted({format for format, _ in images}, key=lambda name: -sum(format == name for format, _ in images))
    totals = {name: sum(map(sum, found.values())) for name, found in seconds.items()}

    heads = [f"{name} ({sum(format == name for format, _ in images)})" for name in formats]
    print(f"{'CPU ms an image':<22}" + "".join(f"{head:>12}" for head in [*heads, "all"]) + "   dB min  median")
    for name, found in seconds.items():
        means = [1000 * statistics.mean(found[format]) for format in formats] + [1000 * totals[name] / len(images)]
        quality = f"{min(decibels[name]):>9.1f}{statistics.median(decibels[name]):>8.1f}"
        print(f"{name:<22}" + "".join(f"{mean:>12.2f}" for mean in means) + quality)

    one, every, peak = throughput(images)
    print(f"\ndecoding processes, with fingerprints: {one:.1f} images/s on one core, {every:.1f} on all")
    print(f"peak memory of a process: {peak:.0f} MB")
    result = {
        "images": len(images),
        "width": SIZE[0],
        "height": SIZE[1],
        "cores": len(os.sched_getaffinity(0)),
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
    run(main)
