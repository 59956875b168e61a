"""A checkpoint's files, wherever it lies, and which of them are its weights."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.models.captioners.description import GENERATION
from image_retrieval.models.description import TEXT_SIDE, TEXT_WEIGHTS
from image_retrieval.models.hub import find_repository, is_hub_id
from image_retrieval.models.json_file import MOST_BYTES, MOST_BYTES_OF_TOKENIZER, require_bytes
from image_retrieval.models.source import SUFFIXES
from image_retrieval.models.text_encoder import LIMITS, MODULES, POOLING, PROMPTS
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings

STATED = ("config.json", "open_clip_config.json", "preprocessor_config.json", "processor_config.json")
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
)
SENTENCES = (MODULES, POOLING, LIMITS, PROMPTS)
BESIDE = (*STATED, *TOKENIZER, "calibration.json", "README.md", TEXT_SIDE)
# of several files, the first kind that is there: transformers' and timm's, then open_clip's
KINDS = (
    ("model.safetensors", "model-*-of-*.safetensors"),
    ("pytorch_model.bin", "pytorch_model-*-of-*.bin"),
    ("open_clip_model.safetensors",),
    ("open_clip_pytorch_model.bin",),
)
TRANSFORMERS = (*KINDS[0], *KINDS[1])


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a checkpoint on this machine; `commit` is that of a hub's repository."""

    folder: Path
    weights: tuple[Path, ...]
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """The names of a folder's files, and what brings some of them here."""

    names: Sequence[str]
    bring: Callable[[list[str]], Path]
    commit: str | None = None


def fetch(source: str, revision: str | None, settings: Settings, scratch: Path) -> Fetched:
    """Bring a checkpoint's weights and what describes them here, into `scratch` unless they are here already.

    `source` is a folder, a hub id (owner/name), s3://bucket/prefix/, or one file of weights in any of them. Raises
    UserError where there is none, or where it is not clear which file is meant.
    """
    folder, file = _file_in(source, settings)
    place = _place(folder, revision, settings, scratch)
    weights = [file] if file else chosen(place.names, source)
    if absent := [name for name in weights if name not in place.names]:
        raise UserError(f"checkpoint {source!r} does not exist: there is no {absent[0]} in {folder}")
    here = place.bring(
        [*weights, *(name for name in (*BESIDE, *SENTENCES, TEXT_WEIGHTS, GENERATION) if name in place.names)]
    )
    return Fetched(here, tuple(here / name for name in weights), place.commit)


def fetch_tokenizer(source: str, settings: Settings, scratch: Path) -> Path:
    """Bring the files of a tokenizer here. Raises UserError where there are none."""
    place = _place(source.rstrip("/"), None, settings, scratch)
    names = [name for name in TOKENIZER if name in place.names]
    if not names:
        raise UserError(f"tokenizer {source!r} has none of {', '.join(TOKENIZER)}")
    return place.bring(names)


def chosen(names: Sequence[str], source: str) -> list[str]:
    """The files of weights among a folder's. Raises UserError where there is none, or no telling which."""
    names = [name for name in names if name.isprintable()]  # what a program writes, and a line can tell
    for kind in KINDS:
        if found := sorted(name for name in names if any(Path(name).match(pattern) for pattern in kind)):
            return found[:1] if found[0] in (pattern for pattern in kind if "*" not in pattern) else found
    found = sorted(name for name in names if name.endswith(SUFFIXES))
    if len(found) == 1:
        return found
    if found:
        raise UserError(
            f"checkpoint {source!r} holds {', '.join(found[:8])}: name one, as {source.rstrip('/')}/{found[0]}"
        )
    raise UserError(f"checkpoint {source!r} holds no weights: none of its files ends in {', '.join(SUFFIXES)}")


def _file_in(source: str, settings: Settings) -> tuple[str, str | None]:
    """A source as a folder and, where it names a file of weights, that file."""
    if source.endswith(SUFFIXES) and not Path(settings.home, source).is_dir():
        folder, _, file = source.rpartition("/")
        return folder or ("/" if source.startswith("/") else "."), file
    return source.rstrip("/") or "/", None


def _place(folder: str, revision: str | None, settings: Settings, scratch: Path) -> _Place:
    here = Path(settings.home, folder)
    if is_hub_id(folder) and not here.is_dir():
        found = find_repository(folder, revision)
        nested = [POOLING] if MODULES in found.files else []  # the hub's client leaves out what is not there
        return _Place([*found.files, *nested], found.download, found.commit)
    if revision is not None:
        raise UserError(f"revision {revision!r} has no meaning for {folder!r}, which is no hub id: leave it out")
    if "://" in folder:
        return _stored(folder, settings, scratch)
    if here.is_dir():
        nested = [POOLING] if (here / POOLING).is_file() else []
        return _Place([*(path.name for path in here.iterdir() if path.is_file()), *nested], lambda names: here)
    raise UserError(
        f"checkpoint {folder!r} does not exist: give a folder, a hub id (owner/name), s3://bucket/prefix/, "
        f"or one file in any of them that ends in {', '.join(SUFFIXES)}"
    )


def _stored(folder: str, settings: Settings, scratch: Path) -> _Place:
    store, prefix = ObjectStore(settings), f"{folder}/"
    entries = [entry for page in store.pages(prefix) for entry in page]
    sizes = {entry.key: entry.size for entry in entries if "/" not in entry.key or entry.key == POOLING}

    def bring(wanted: list[str]) -> Path:
        for name in wanted:
            if name in (*BESIDE, *SENTENCES):
                require_bytes(name, sizes[name], MOST_BYTES_OF_TOKENIZER if name in TOKENIZER else MOST_BYTES)
            (scratch / name).parent.mkdir(exist_ok=True)
            with store.open(prefix + name) as stream, (scratch / name).open("wb") as target:
                shutil.copyfileobj(stream, target, 2**22)
        return scratch

    return _Place(list(sizes), bring)
