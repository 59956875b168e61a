"""What scores that were fitted without labels show at the default cutoff: `python -m benchmarks.chance [--photos DIR]`.

On drawn scenes: the models that ship, without their calibration, beside the calibration that labels gave them; right
and shown are as in `benchmarks.calibration`. With --photos, a folder of folders, one for each kind of photo, and a
model that brings no calibration: searches by photos for photos of the same kind and for altered copies, and searches
for each kind in a collection without it. The last line is JSON.
"""

import argparse
import io
import json
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
from image_retrieval.models.calibration import CUTOFF, IMAGES, Calibration, calibration_of, read_calibration
from image_retrieval.models.chance import Cosines, fit_images, random_pairs
from image_retrieval.models.packaged import packaged_weights
from image_retrieval.models.probes import COPIES, SAMPLE, copies_of, texts_of
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.models.towers import ImageTower, load_text_tower
from image_retrieval.pipeline.calibrating import fit_phrases
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings
from image_retrieval.training.facts import facts_of

SEED = 5  # of the scenes that are drawn, and of the photos that are altered
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


def copied(pictures: list[Image.Image], vectors: Vectors, tower: ImageTower) -> Cosines:
    """The cosines of altered copies with their pictures, as the probes of a model have them."""
    given = np.stack([np.asarray(picture) for picture in pictures])
    return copies_of(given, vectors, lambda made: embed([Image.fromarray(picture) for picture in made], tower))


def on_scenes(count: int, seed: int) -> dict[str, dict[str, float]]:
    """The figures of both models that ship, fitted without and with labels."""
    scenes = list(draw_scenes(count, seed))
    kinds = np.array([scene.key.partition("/")[0] for scene in scenes])
    alike, figures = kinds[:, None] == kinds[None], {}
    for name, place in (("vision", VISION), ("dual", DUAL)):
        tower = load(place)
        pictures = pixels([scene.data for scene in scenes], tower)
        vectors = embed(pictures, tower)
        copies = copied(pictures[:COPIES], vectors[:COPIES], tower)
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


def on_photos(photos: Path, place: Path, seed: int) -> dict[str, float]:
    """The figures of a model on photos, whose folders are their kinds."""
    files = sorted(path for path in photos.glob("*/*") if path.is_file())
    kinds, tower = np.array([path.parent.name for path in files]), load(place)
    pictures = pixels([path.read_bytes() for path in files], tower)
    vectors, order = embed(pictures, tower), np.random.default_rng(seed).permutation(len(files))
    copies = copied([pictures[at] for at in order], vectors[order], tower)

    def fitted(chosen: Right) -> Calibration:
        """As in a collection of some of the photos."""
        among = chosen[order]
        vectors_of_it = vectors[order[among]]
        return fit_images(random_pairs(vectors_of_it[:SAMPLE]), copies[among][:COPIES], len(vectors_of_it))

    calibration, alike = fitted(np.ones(len(files), bool)), kinds[:, None] == kinds[None]
    middle, parts = calibration.cosine(CUTOFF), order[-COPIES:]  # others than those that were fitted to
    again = [half_size_part(Image.open(files[at]).convert("RGB")) for at in parts]
    seen, itself = embed(pixels(again, tower), tower) @ vectors.T >= middle, np.arange(len(files)) == parts[:, None]
    without = []
    for kind in np.unique(kinds):
        cutoff = fitted(kinds != kind).cosine(CUTOFF)
        without += [bool(best < cutoff) for best in (vectors[kinds == kind] @ vectors[kinds != kind].T).max(axis=1)]
    return {
        **by_pictures(vectors, alike, calibration),
        "copies_that_find_their_original": float((seen & itself).any(axis=1).mean()),
        "originals_among_results_of_copies": float((seen & itself).sum() / max(1, seen.sum())),
        "same_kind_among_them": float((seen & alike[parts] & ~itself).sum() / max(1, seen.sum())),
        "quiet_without_kind": float(np.mean(without)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=whole(40), default=1_000)
    parser.add_argument("--photos", type=folder, help="a folder with a folder of photos for each kind")
    parser.add_argument("--seed", type=whole(0), default=SEED)
    parser.add_argument("--model", type=model, help=f"the model for photos; default: {PACKAGED}")
    arguments = parser.parse_args()
    figures = on_scenes(arguments.scenes, arguments.seed)
    if arguments.photos:
        with tempfile.TemporaryDirectory() as made:
            figures["photos"] = on_photos(arguments.photos, arguments.model or packaged(Path(made)), arguments.seed)
    for what, found in figures.items():
        rest = "  ".join(f"{name} {100 * value:.1f} %" for name, value in found.items() if name != "cutoff")
        print(f"{what:<28} cutoff {found['cutoff']:.3f}  {rest}")
    rounded = {key: {name: round(value, 4) for name, value in found.items()} for key, found in figures.items()}
    print(json.dumps({"scenes": arguments.scenes, "seed": arguments.seed, **rounded}))


def packaged(place: Path) -> Path:
    """The model for photos, converted from its package."""
    from image_retrieval.models.adding import put_weights

    put_weights(packaged_weights(PACKAGED), f"file://{place}/{PACKAGED}/", Settings())
    return place / PACKAGED


if __name__ == "__main__":
    run(main)
