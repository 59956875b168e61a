"""Fills the embedded store for the demo: pictures and a model."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from image_retrieval.batches import in_batches
from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
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


def ensure_model(source: str, settings: Settings) -> bool:
    """Write the shipped model that has the prefix's last name to the prefix. Returns whether anything changed."""
    folder = SHIPPED / Path(source).name
    if not folder.is_dir():  # a model of the user's own
        return False
    written, removed = mirror(((path.name, path.read_bytes()) for path in sorted(folder.iterdir())), source, settings)
    return bool(written or removed)
