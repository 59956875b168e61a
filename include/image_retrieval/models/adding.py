"""A checkpoint from anywhere, converted, tried, and written where collections take models from."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import torch
from safetensors.torch import save_file

from image_retrieval.errors import UserError
from image_retrieval.models.captioners.description import FAMILIES as CAPTIONERS
from image_retrieval.models.captioners.description import GENERATION
from image_retrieval.models.card import read_card
from image_retrieval.models.description import FAMILIES, TEXT_ENCODERS, TEXT_SIDE, TEXT_WEIGHTS
from image_retrieval.models.digest import digest_of
from image_retrieval.models.fetching import (
    BESIDE,
    SENTENCES,
    STATED,
    TOKENIZER,
    TRANSFORMERS,
    Fetched,
    fetch,
    fetch_tokenizer,
)
from image_retrieval.models.json_file import (
    MOST_BYTES,
    MOST_BYTES_OF_TOKENIZER,
    read_json_file,
    read_mapping,
    require_size,
)
from image_retrieval.models.layouts import convert
from image_retrieval.models.layouts.checkpoint import Checkpoint, Converted
from image_retrieval.models.plausible import sizes_of
from image_retrieval.models.publishing import alone_here, put_model, require_no_model
from image_retrieval.models.text_encoder import KEY, described_by
from image_retrieval.models.trying import try_out
from image_retrieval.models.weight_files import read_weights
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import folder_in

ORIGIN = "source.json"  # where a model came from, beside its files
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Added:
    """A model that was added: where it lies, what it came from, and what it can do.

    `caption`: what a captioner, which makes no vectors, says of a drawn scene.
    """

    name: str
    source: str
    layout: str
    model_type: str
    dimensions: int | None
    width: int | None  # None: it reads texts only
    height: int | None
    texts: bool
    languages: tuple[str, ...]
    licence: str
    images_per_second: float | None
    commit: str | None
    digest: str
    assumed: tuple[str, ...]
    caption: str | None = None


def models_folder(name: str, settings: Settings) -> str:
    """The prefix under the work store where an added model lies."""
    return folder_in(settings.work_uri, "models", name)


def add_model(
    name: str, source: str, settings: Settings, *, revision: str | None = None, tokenizer: str | None = None
) -> Added:
    """Fetch a checkpoint, convert it, embed a test picture twice, and write it under the work store.

    Raises UserError where any of it fails; nothing is then left of it.
    """
    target = models_folder(name, settings)
    with (
        alone_here(target, settings),
        tempfile.TemporaryDirectory(dir=settings.local_path, prefix=".adding-") as scratch,
    ):
        require_no_model(target, ObjectStore(settings))
        fetched_into, tokens_into, made = (Path(scratch, part) for part in ("fetched", "tokenizer", "model"))
        for folder in (fetched_into, tokens_into, made):
            folder.mkdir()
        fetched = fetch(source, revision, settings, fetched_into)
        words = fetch_tokenizer(tokenizer, settings, tokens_into) if tokenizer else fetched.folder
        layout, assumed = write_model(fetched, words, made, source)
        origin = {"source": source, "revision": fetched.commit, "layout": layout}
        (made / ORIGIN).write_text(json.dumps(origin, indent=2), encoding="utf-8")
        found, card = try_out(made), read_card(made)
        put_model(made, target, settings)
        width, height = found.size or (None, None)
        return Added(
            name=name,
            source=target,
            layout=layout,
            model_type=found.model_type,
            dimensions=found.dimensions,
            width=width,
            height=height,
            texts=found.texts,
            languages=found.languages or card.languages,
            licence=card.licence,
            images_per_second=found.images_per_second,
            commit=fetched.commit,
            digest=digest_of(made),
            assumed=assumed,
            caption=found.caption,
        )


def put_weights(weights: Path, target: str, settings: Settings) -> bool:
    """Convert one file of weights into a prefix that ends in `/`, unless a model lies there; returns whether it did."""
    with alone_here(target, settings), tempfile.TemporaryDirectory() as made:
        if ObjectStore(settings).exists(f"{target}config.json"):
            return False
        write_model(Fetched(weights.parent, (weights,)), weights.parent, Path(made))
        put_model(Path(made), target, settings)
    return True


def write_model(fetched: Fetched, tokenizer: Path, target: Path, source: str = "") -> tuple[str, tuple[str, ...]]:
    """Write a checkpoint as a folder that the towers load. Returns its layout and what no file of it states.

    `source`: the checkpoint's name, which tells what the files of some text embedding models leave out.
    """
    beside = {name: read_mapping(fetched.folder / name) for name in STATED if (fetched.folder / name).is_file()}
    for name in (*BESIDE, GENERATION):
        origin = tokenizer / name if name in TOKENIZER else fetched.folder / name
        if origin.is_file() and name != "open_clip_config.json":
            require_size(origin, MOST_BYTES_OF_TOKENIZER if name in TOKENIZER else MOST_BYTES)
            copyfile(origin, target / name)
    if (words := fetched.folder / TEXT_WEIGHTS).is_file() and (target / TEXT_SIDE).is_file():
        copyfile(words, target / TEXT_WEIGHTS)
    config = beside.get("config.json") or {}
    assumed: tuple[str, ...] = ()
    if "model_type" in config and any(fetched.weights[0].match(name) for name in TRANSFORMERS):
        if config["model_type"] in TEXT_ENCODERS:
            parts = [fetched.folder / name for name in SENTENCES]
            read = described_by(*(read_json_file(part) if part.is_file() else None for part in parts), source=source)
            if read.pop("assumed", False):
                assumed = ("the prompts `query: ` and `passage: `, since its name says E5",)
            config |= {KEY: read}
            (target / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        elif (kind := str(config["model_type"])[:80]) not in (*FAMILIES, *CAPTIONERS):
            known = ", ".join((*FAMILIES, *TEXT_ENCODERS, *CAPTIONERS))
            raise UserError(f"the model is of type {kind!r}: supported are {known}")
        _keep(fetched.weights, target)
        return "transformers", assumed
    found = convert(Checkpoint(read_weights(fetched.weights), beside))
    (target / "config.json").write_text(json.dumps(found.config, indent=2), encoding="utf-8")
    stated = {"preprocessor_config.json", "processor_config.json"} & beside.keys()
    if not stated:
        (target / "preprocessor_config.json").write_text(json.dumps(found.preprocessor, indent=2), encoding="utf-8")
    _save(found, target)
    return found.layout, () if stated else found.assumed


def _keep(weights: tuple[Path, ...], target: Path) -> None:
    """Weights that have transformers' names already: copied, or rewritten where they are pickled."""
    if any(path.suffix != ".safetensors" for path in weights):
        _save(Converted("transformers", {}, {}, read_weights(weights)), target)
        return
    held = {path.name: sizes_of([path]) for path in weights}  # before a file is copied that is none
    for path in weights:
        copyfile(path, target / (path.name if len(weights) > 1 else WEIGHTS))
    if len(weights) > 1:
        index = {"metadata": {}, "weight_map": {name: file for file, names in held.items() for name in names}}
        (target / f"{WEIGHTS}.index.json").write_text(json.dumps(index), encoding="utf-8")


def _save(model: Converted, target: Path) -> None:
    whole = {name: values.clone(memory_format=torch.contiguous_format) for name, values in model.weights.items()}
    save_file(whole, target / WEIGHTS, metadata={"format": "pt"})
