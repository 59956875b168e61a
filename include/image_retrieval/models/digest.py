"""The digest of the files that determine a model's vectors."""

import hashlib
from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.models.description import TEXT_WEIGHTS

DIGESTED = ("config.json", "preprocessor_config.json", "processor_config.json", "*.safetensors")
NOT_DIGESTED = TEXT_WEIGHTS  # so that vectors stay those of the model when it gets a text side


def digest_of(folder: Path) -> str:
    """SHA-256, in hex, over names and contents of a folder's weights, config and preprocessor files.

    Tokenizers and text sides are left out: they do not affect vectors of images, and may be added to a copy later.
    """
    digest = hashlib.sha256()
    for path in sorted({path for name in DIGESTED for path in folder.glob(name)} - {folder / NOT_DIGESTED}):
        with path.open("rb") as stream:
            digest.update(f"{path.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def require_digest(found: str, known: str | None, source: str) -> None:
    """Raise UserError if a model's files are not those that made earlier vectors; `known` is None without vectors."""
    if known is not None and found != known:
        raise UserError(
            f"the files of model {source!r} have changed (digest {known[:12]}… → {found[:12]}…): new vectors would not "
            "be comparable with the existing ones; restore the former files, or give the changed model a new `name` in "
            "collections.yaml, so that it gets a vector table of its own"
        )
