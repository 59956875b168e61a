"""Fetches a model's files from a folder, an s3:// prefix or a hub."""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.models.hub import CONFIG_FILES, find_repository, is_hub_id
from image_retrieval.objects import ObjectStore, StoredObject
from image_retrieval.settings import Settings

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")  # of files of weights
WEIGHTS = "*.safetensors"
WANTED = (*CONFIG_FILES, WEIGHTS, "*.json", "*.txt", "spiece.model")  # with the files of every kind of tokenizer
PICKLED = tuple(suffix for suffix in SUFFIXES if suffix != ".safetensors")


def model_folder(source: str, revision: str | None, settings: Settings, *, weights: bool = True) -> Path:
    """A local folder with the model's configuration and, with `weights`, its safetensors weights.

    Raises UserError if there is no such model.
    """
    names: Sequence[str]
    if "://" in source:
        folder, names = _from_store(source, settings, weights)
    elif (folder := Path(settings.home, source)).is_dir():
        names = [path.name for path in folder.iterdir()]
    elif is_hub_id(source):
        folder, names = _from_hub(source, revision, weights)
    else:
        raise UserError(
            f"model {source!r} does not exist: give a folder that holds config.json and model.safetensors, "
            "a hub id (owner/name), or s3://bucket/prefix/"
        )
    _require(names, ("config.json", WEIGHTS)[: 1 + weights], source, revision)
    return folder


def _require(names: Sequence[str], patterns: Sequence[str], source: str, revision: str | None) -> None:
    missing = [pattern for pattern in patterns if not any(Path(name).match(pattern) for name in names)]
    if not missing:
        return
    others = sorted(name for name in names if name.endswith(PICKLED))
    given = source if revision is None or not is_hub_id(source) else f"{source} --revision {revision}"
    advice = f": `image-retrieval models add NAME {given}` converts {others[0]}" if others else ""
    raise UserError(f"model {source!r} has no {' and no '.join(missing)}: only safetensors models are loaded{advice}")


def _from_store(source: str, settings: Settings, weights: bool) -> tuple[Path, Sequence[str]]:
    store = ObjectStore(settings)
    prefix = source.rstrip("/") + "/"
    found = [entry for page in store.pages(prefix) for entry in page if "/" not in entry.key]
    if not found:
        raise UserError(f"model {source!r} does not exist: there is nothing under {prefix}")
    names = WANTED if weights else CONFIG_FILES
    wanted = [entry for entry in found if any(Path(entry.key).match(name) for name in names)]
    folder = settings.local_path / "models" / _fingerprint(wanted)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
        try:
            for entry in wanted:
                with store.open(entry.uri) as stream, (partial / entry.key).open("wb") as target:
                    shutil.copyfileobj(stream, target, 2**22)
            with suppress(OSError):  # another process was faster
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder, [entry.key for entry in found]


def _fingerprint(entries: list[StoredObject]) -> str:
    lines = sorted(f"{entry.uri} {entry.etag} {entry.size}" for entry in entries)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def _from_hub(source: str, revision: str | None, weights: bool) -> tuple[Path, Sequence[str]]:
    found = find_repository(source, revision)
    if any(name.endswith(PICKLED) for name in found.files):
        _require(found.files, (WEIGHTS,), source, revision)  # a listing, too, so that no run begins
    patterns = WANTED if weights else CONFIG_FILES
    wanted = [name for name in found.files if any(Path(name).match(pattern) for pattern in patterns)]
    return found.download(wanted), found.files
