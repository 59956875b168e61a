"""What scores that were fitted without labels show at the default cutoff: `python -m benchmarks.chance [--photos DIR]`.

On drawn scenes: the models that ship, without their calibration, beside the calibration that labels gave them; right
and shown are as in `benchmarks.calibration`. With --photos, a folder of folders, one for each kind of photo, and a
model that brings no calibration: searches by photos for photos of the same kind and for altered copies, and searches
for each kind in a collection without it. The last line is JSON.
"""

import argparse
import io
import json
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.calibration import LANGUAGES, MORE_ABSENT, Right, holds, quiet, shown
from benchmarks.needs import folder, model, run, whole
from benchmarks.shipped import ABSENT, LIMITS, Vectors, load
from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.resample import resample
from image_retrieval.models.altering import altered
from image_retrieval.models.calibration import CUTOFF, IMAGES, Calibration, calibration_of, read_calibration
from image_retrieval.models.chance import fit_images, random_pairs
from image_retrieval.models.packaged import packaged_weights
from image_retrieval.models.probes import COPIES, SAMPLE, texts_of
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.models.towers import ImageTower, load_text_tower
from image_retrieval.pipeline.calibrating import fit_phrases
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings
from image_retrieval.training.facts import facts_of

SEED = 5  # of the scenes that are searched
FARTHEST = -2.0  # below any cosine
BATCH = 32
PACKAGED = "efficientnet_lite2"


def pixels(files: list[bytes], tower: ImageTower) -> list[Image.Image]:
    """Pictures at the size that the model reads."""
    options = ResampleOptions(target_size=tower.size, keep=False)
    return [Image.frombytes("RGB", tower.size, resample(data, options, LIMITS).pixels) for data in files]


def embed(pictures: list[Image.Image], tower: ImageTower) -> Vectors:
    """One vector of length 1 for each picture."""
    parts = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
    stacked = (torch.from_numpy(np.stack([np.asarray(picture) for picture in part])) for part in parts)
    return np.concatenate([tower.embed(part).numpy() for part in stacked])


def by_pictures(vectors: Vectors, alike: Right, calibration: Calibration) -> dict[str, float]:
    """Searches by each picture for the others."""
    cosines, middle = vectors @ vectors.T, calibration.cosine(CUTOFF)
    found = shown(np.where(np.eye(len(vectors), dtype=bool), FARTHEST, cosines), alike, middle)
    return {"cutoff": middle, **found, "quiet": quiet(np.where(alike, FARTHEST, cosines), middle)}


def copies_of(pictures: list[Image.Image], vectors: Vectors, tower: ImageTower) -> Vectors:
    """The cosines of altered copies with their pictures."""
    rng = random.Random(SEED)
    cosines: Vectors = (embed([altered(picture, rng) for picture in pictures], tower) * vectors[: len(pictures)]).sum(
        axis=1
    )
    return cosines


def on_scenes(count: int) -> dict[str, dict[str, float]]:
    """The figures of both models that ship, fitted without and with labels."""
    scenes = list(draw_scenes(count, SEED))
    kinds = np.array([scene.key.partition("/")[0] for scene in scenes])
    alike, figures = kinds[:, None] == kinds[None], {}
    for name, place in (("vision", VISION), ("dual", DUAL)):
        tower = load(place)
        pictures = pixels([scene.data for scene in scenes], tower)
        vectors = embed(pictures, tower)
        copies = copies_of(pictures[:COPIES], vectors, tower).astype(np.float64)
        fitted = {"chance": fit_images(random_pairs(vectors[:SAMPLE]), copies, count), "labels": own(place, IMAGES)}
        for how, calibration in fitted.items():
            figures[f"{name}_image_image_{how}"] = by_pictures(vectors, alike, calibration)
    facts = np.array([facts_of(scene.layout) for scene in scenes])
    captions = [caption for scene in scenes for caption in scene.captions]
    right, texts = holds(captions, facts), load_text_tower(DUAL, dtype="float32", device="cpu")
    for language, attribute in LANGUAGES:
        direction = f"text_image_{language}"
        said = texts.embed([getattr(caption, attribute) for caption in captions]).numpy() @ vectors.T
        absent = texts.embed([*ABSENT[language], *MORE_ABSENT[language]]).numpy() @ vectors.T
        probes = texts_of(language, lambda given: texts.embed(given).numpy(), vectors[:SAMPLE])
        chance = fit_phrases(probes, vectors[:SAMPLE], count)
        for how, calibration in {"chance": chance, "labels": own(DUAL, direction)}.items():
            middle = calibration.cosine(CUTOFF)
            found = {"cutoff": middle, **shown(said, right, middle), "quiet": quiet(absent, middle)}
            figures[f"dual_{direction}_{how}"] = found
    return figures


def own(place: Path, direction: str) -> Calibration:
    """The calibration that a model brings."""
    found = calibration_of(read_calibration(place), direction)
    assert found is not None, f"{place} is not calibrated: {direction}"
    return found


def half_size_part(picture: Image.Image) -> bytes:
    """A half-size copy of 80 % of a picture's area, encoded again: what copies of pictures are, but not as fitted."""
    side = 0.8**0.5
    width, height = round(picture.width * side), round(picture.height * side)
    file = io.BytesIO()
    picture.crop((0, 0, width, height)).resize((width // 2, height // 2)).save(file, "JPEG", quality=75)
    return file.getvalue()


def on_photos(photos: Path, place: Path) -> dict[str, float]:
    """The figures of a model on photos, whose folders are their kinds."""
    files = sorted(path for path in photos.glob("*/*") if path.is_file())
    kinds, tower = np.array([path.parent.name for path in files]), load(place)
    pictures = pixels([path.read_bytes() for path in files], tower)
    vectors = embed(pictures, tower)
    alike, order = kinds[:, None] == kinds[None], np.random.default_rng(SEED).permutation(len(files))
    chosen = order[:COPIES]
    copies = copies_of([pictures[at] for at in chosen], vectors[chosen], tower).astype(np.float64)
    parts = order[COPIES : 2 * COPIES]
    again = [half_size_part(Image.open(files[at]).convert("RGB")) for at in parts]
    cosines = embed(pixels(again, tower), tower) @ vectors.T
    calibration = fit_images(random_pairs(vectors[order[:SAMPLE]]), copies, len(files))
    middle = calibration.cosine(CUTOFF)
    seen = cosines >= middle
    itself = np.arange(len(files)) == parts[:, None]
    without = []
    for kind in np.unique(kinds):
        rest = vectors[kinds != kind]
        cutoff = fit_images(random_pairs(rest[:SAMPLE]), copies, len(rest)).cosine(CUTOFF)
        without += [bool(best < cutoff) for best in (vectors[kinds == kind] @ rest.T).max(axis=1)]
    return {
        **by_pictures(vectors, alike, calibration),
        "copies_shown": float((seen & itself).any(axis=1).mean()),
        "right_of_copies": float((seen & (itself | alike[parts])).sum() / max(1, seen.sum())),
        "quiet_without_kind": float(np.mean(without)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=whole(40), default=1_000)
    parser.add_argument("--photos", type=folder, help="a folder with a folder of photos for each kind")
    parser.add_argument("--model", type=model, help=f"the model for photos; default: {PACKAGED}")
    arguments = parser.parse_args()
    figures = on_scenes(arguments.scenes)
    if arguments.photos:
        with tempfile.TemporaryDirectory() as made:
            figures["photos"] = on_photos(arguments.photos, arguments.model or packaged(Path(made)))
    for what, found in figures.items():
        rest = "  ".join(f"{name} {100 * value:.1f} %" for name, value in found.items() if name != "cutoff")
        print(f"{what:<28} cutoff {found['cutoff']:.3f}  {rest}")
    rounded = {key: {name: round(value, 4) for name, value in found.items()} for key, found in figures.items()}
    print(json.dumps({"scenes": arguments.scenes, **rounded}))


def packaged(place: Path) -> Path:
    """The model for photos, converted from its package."""
    from image_retrieval.models.adding import put_weights

    put_weights(packaged_weights(PACKAGED), f"file://{place}/{PACKAGED}/", Settings())
    return place / PACKAGED


if __name__ == "__main__":
    run(main)
