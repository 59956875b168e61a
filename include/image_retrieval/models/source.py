"""Fetches a model's files from a folder, an s3:// prefix or a hub."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore, StoredObject
from image_retrieval.redaction import redacted
from image_retrieval.settings import Settings

CONFIG_FILES = ("config.json", "preprocessor_config.json", "processor_config.json", "calibration.json")
WEIGHTS = "*.safetensors"
WANTED = (*CONFIG_FILES, WEIGHTS, "*.json", "*.txt", "spiece.model")  # with the files of every kind of tokenizer


def model_folder(source: str, revision: str | None, settings: Settings, *, weights: bool = True) -> Path:
    """A local folder with the model's configuration and, with `weights`, its safetensors weights.

    Raises UserError if there is no such model.
    """
    if "://" in source:
        folder = _from_store(source, settings, weights)
    elif Path(settings.home, source).is_dir():
        folder = Path(settings.home, source)
    elif source.count("/") == 1 and not source.startswith((".", "/")):
        folder = _from_hub(source, revision, weights)
    else:
        raise UserError(
            f"model {source!r} does not exist: give a folder that holds config.json and model.safetensors, "
            "a hub id (owner/name), or s3://bucket/prefix/"
        )
    missing = [name for name in ("config.json", WEIGHTS)[: 1 + weights] if not list(folder.glob(name))]
    if missing:
        raise UserError(f"model {source!r} has no {' and no '.join(missing)}: only safetensors models are loaded")
    return folder


def _from_store(source: str, settings: Settings, weights: bool) -> Path:
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
        for entry in wanted:
            with store.open(entry.uri) as stream, (partial / entry.key).open("wb") as target:
                shutil.copyfileobj(stream, target, 2**22)
        try:
            partial.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    return folder


def _fingerprint(entries: list[StoredObject]) -> str:
    lines = sorted(f"{entry.uri} {entry.etag} {entry.size}" for entry in entries)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def _from_hub(source: str, revision: str | None, weights: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = list(WANTED if weights else CONFIG_FILES)
    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=patterns, ignore_patterns=["*/*"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"model {source!r} is not a folder here, and could not be fetched from the hub ({redacted(first)[:200]}): "
            "check the name and revision, or copy it to a folder or an s3:// prefix"
        ) from None
