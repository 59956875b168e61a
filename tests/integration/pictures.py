"""Pictures for the tests: drawn scenes, and files that are none."""

import io

import numpy as np
from PIL import Image

from image_retrieval.objects import ObjectStore
from image_retrieval.scenes import draw_scenes

SCENES = {scene.key: scene.data for scene in draw_scenes(24, seed=7)}
FIRST = dict(list(SCENES.items())[:12])
LATER = dict(list(SCENES.items())[12:16])


def one_pixel() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(target, "PNG")
    return target.getvalue()


BAD = {
    "bad/empty.jpg": (b"", "empty_file"),
    "bad/text.png": (b"this is no picture at all, whatever its name says", "unsupported_format"),
    "bad/cut.jpg": (next(data for key, data in SCENES.items() if key.endswith(".jpg"))[:2000], "truncated"),
}


def half_size_copy(data: bytes) -> bytes:
    """The same picture at half its size, encoded again."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    target = io.BytesIO()
    image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC).save(target, "JPEG", quality=75)
    return target.getvalue()


def put(store: ObjectStore, prefix: str, pictures: dict[str, bytes]) -> None:
    for key, data in pictures.items():
        store.write(prefix + key, data)


def spots(count: int) -> dict[str, bytes]:
    """Pictures of soft spots, no two of which look alike."""
    found, rng = {}, np.random.default_rng(0)
    for number in range(count):
        colours = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        file = io.BytesIO()
        colours.resize((64, 64), Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
        found[f"{number:04}.jpg"] = file.getvalue()
    return found
