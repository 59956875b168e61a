"""Mutated pictures through the decoding processes: `PYTHONPATH=include:tests python -m unit.imaging.fuzz 20000`.

Each file must end as a picture or as a rejection, within the time limit; prints how many ended how. The same count and
seed (second argument) give the same files.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected
from image_retrieval.imaging.decoders import Decoders
from image_retrieval.imaging.formats import ACCEPTED
from image_retrieval.settings import Settings
from unit.imaging.pictures import encoded, grey_profile, heic, photo, rgb_profile, with_tag, written

OPTIONS = (
    ResampleOptions(target_size=(32, 24), keep=False),
    ResampleOptions(
        target_size=(32, 24), keep=False, truncated="accept", raw="preview", frame="last", exact=True, fit="pad"
    ),
)
SETTINGS = Settings(max_image_seconds=20, max_image_pixels=20_000_000, max_image_frames=50, decoder_memory_mb=1024)
HEADER = 200  # bytes, of which a third of the changes are


@cache
def seeds() -> tuple[bytes, ...]:
    """A picture of each accepted format, and some of other colour models, depths and frames."""
    picture = photo(64, 48)
    frames = [photo(64, 48), photo(64, 48).rotate(90), photo(64, 48).rotate(180)]
    return (
        *(written(format) for format in (*ACCEPTED, "MPO")),
        encoded(picture, "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
        encoded(picture.convert("CMYK"), "JPEG"),
        *(encoded(picture.convert(mode), "PNG") for mode in ("P", "1", "LA", "RGBA", "I;16")),
        *(encoded(picture.convert(mode), "TIFF", compression="tiff_lzw") for mode in ("RGB", "CMYK", "F", "1")),
        *(encoded(frames[0], format, save_all=True, append_images=frames[1:]) for format in ("GIF", "WEBP", "TIFF")),
        encoded(picture, "TIFF", compression="jpeg"),
        encoded(picture, "WEBP", lossless=True),
        encoded(picture, "TGA", compression="tga_rle"),
        encoded(picture.convert("LA"), "PNG", icc_profile=grey_profile(1.0), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
        encoded(picture, "JPEG", icc_profile=with_tag(rgb_profile(1.0), b"cicp", bytes((9, 16, 0, 1)))),
        heic(picture, color_primaries=9, transfer_characteristics=18, matrix_coefficients=9, save_nclx_profile=True),
        encoded(picture, "TIFF", tiffinfo={50706: b"\1\4\0\0"}) + encoded(picture, "JPEG"),
    )


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """So many files: bits flipped, bytes replaced, parts cut, doubled, or taken from another picture."""
    rng = random.Random(seed)
    for number in range(count):
        data = bytearray(seeds()[number % len(seeds())])
        for _ in range(rng.randint(1, 4)):
            data = rng.choice((_flip, _replace, _cut, _repeat, _splice))(data, rng)
        yield bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(min(len(data), HEADER) if rng.random() < 0.33 else len(data)) if data else 0


def _flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 8) if data else 0):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)
    return data


def _replace(data: bytearray, rng: random.Random) -> bytearray:
    start = _place(data, rng)
    length = min(rng.randint(1, 8), len(data) - start)
    data[start : start + length] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
    return data


def _cut(data: bytearray, rng: random.Random) -> bytearray:
    start = _place(data, rng)
    return data[:start] + data[start + rng.choice((1, 7, 100, len(data))) :]


def _repeat(data: bytearray, rng: random.Random) -> bytearray:
    start = _place(data, rng)
    return data[:start] + data[start : start + 64] * rng.randint(1, 50) + data[start:]


def _splice(data: bytearray, rng: random.Random) -> bytearray:
    other = rng.choice(seeds())
    return data[: _place(data, rng)] + other[rng.randrange(len(other)) :]


def outcome(decoders: Decoders, data: bytes) -> tuple[str, float]:
    """How a file ends, as `picture` or the reason, and after how many seconds. Whatever else is raised is a bug."""
    started = time.monotonic()
    try:
        found, _ = decoders.resample(data)
        assert len(found.pixels) == 32 * 24 * 3
        assert found.width > 0
        assert found.height > 0
        end = "picture"
    except ImageRejected as rejected:
        end = str(rejected.reason)
    return end, time.monotonic() - started


def run(count: int, seed: int) -> tuple[Counter[str], float]:
    """How many of so many files ended how, under each of the options in turn, and the longest time that one took."""
    ends: Counter[str] = Counter()
    longest = 0.0
    for half, options in enumerate(OPTIONS):
        with Decoders(options, SETTINGS) as decoders, ThreadPoolExecutor(SETTINGS.cores) as pool:
            for end, seconds in pool.map(partial(outcome, decoders), mutants(count // 2, seed + half)):
                ends[end] += 1
                longest = max(longest, seconds)
    return ends, longest


if __name__ == "__main__":
    count, seed = (int(argument) for argument in [*sys.argv[1:], "20000", "0"][:2])
    found, slowest = run(count, seed)
    print(dict(found.most_common()), f"slowest {slowest:.1f} s")
