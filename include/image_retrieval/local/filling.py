"""Fills the embedded store for the demo: pictures and a model."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from image_retrieval.batches import in_batches
from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.models.packaged import PACKAGES, packaged_weights
from image_retrieval.models.shipped import SHIPPED
from image_retrieval.objects import ObjectStore
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings

SCENES = 300
Picture = tuple[str, bytes]


def scene_pictures() -> Iterator[Picture]:
    """The keys and bytes of the drawn scenes."""
    return ((scene.key, scene.data) for scene in draw_scenes(SCENES))


def folder_pictures(folder: Path, collection: Collection) -> Iterator[Picture]:
    """The keys and bytes of a folder's files that the collection includes, in order. Raises UserError if none does."""
    if not folder.is_dir():
        raise UserError(f"folder {folder} does not exist: give a folder of images, as in `make demo IMAGES=~/Pictures`")
    keys = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    keys = [key for key in keys if collection.takes(key) and _is_text(key)]
    if not keys:
        raise UserError(f"folder {folder} contains no file that matches {', '.join(collection.glob)}")
    return ((key, (folder / key).read_bytes()) for key in keys)


def _is_text(key: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in key)  # a name that is not UTF-8


def add_once(source: str, settings: Settings) -> tuple[str, str]:
    """Add a model under a name made of its source's, unless it was. Returns its name, and where it lies.

    Raises UserError where it cannot be added, and where that name is another model's.
    """
    from image_retrieval.models.adding import ORIGIN, add_model, models_folder  # torch takes seconds

    words = re.sub(r"[^a-z0-9]+", "_", PurePosixPath(source.rstrip("/")).name.lower()).strip("_")
    name = (words if words[:1].isalpha() else f"model_{words}")[:24].rstrip("_")
    folder, store = models_folder(name, settings), ObjectStore(settings)
    if not store.exists(f"{folder}config.json"):
        return name, add_model(name, source, settings).source
    known = json.loads(store.read(folder + ORIGIN))["source"] if store.exists(folder + ORIGIN) else None
    if known != source:
        raise UserError(f"{folder} holds a model from {known or 'elsewhere'}, not from {source}: remove that folder")
    return name, folder


def mirror(pictures: Iterable[Picture], prefix: str, settings: Settings) -> tuple[int, int]:
    """Make a prefix hold exactly these pictures. Returns how many were written and how many removed."""
    store = ObjectStore(settings)
    there = {entry.key: entry.etag for page in store.pages(prefix, missing_ok=True) for entry in page}
    kept: set[str] = set()

    def put(picture: Picture) -> bool:
        key, data = picture
        kept.add(key)
        if there.get(key) == hashlib.md5(data, usedforsecurity=False).hexdigest():
            return False
        store.write(prefix + key, data)
        return True

    with ThreadPoolExecutor(8) as pool:
        written = 0
        for batch in in_batches(pictures, 64):
            written += sum(pool.map(put, batch))
    surplus = [prefix + key for key in there.keys() - kept]
    store.delete(surplus)
    return written, len(surplus)


def ensure_models(collection: Collection, settings: Settings) -> list[str]:
    """Put the model of a demo's collection, and its captioner, where they are missing. Returns the sources filled."""
    captioner = collection.captions.model if collection.captions else None
    sources = [collection.model.source, *([captioner.source] if captioner else [])]
    return [source for source in sources if ensure_model(source, settings)]


def ensure_model(source: str, settings: Settings) -> bool:
    """Put a model of the demo under its s3:// prefix; returns whether that was needed.

    The prefix's last name says which: one that ships, or one from a package. A user's own is left alone.
    """
    name = Path(source).name
    if name in PACKAGES:
        from image_retrieval.models.adding import put_weights  # torch takes seconds

        return put_weights(packaged_weights(name), f"{source.rstrip('/')}/", settings)
    folder = SHIPPED / name
    if not folder.is_dir():
        return False
    written, removed = mirror(((path.name, path.read_bytes()) for path in sorted(folder.iterdir())), source, settings)
    return bool(written or removed)
