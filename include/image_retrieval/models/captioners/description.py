"""Reads the description of a captioner from its own files, without torch."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_retrieval.caption_options import CaptionModel, CaptionOptions
from image_retrieval.errors import UserError
from image_retrieval.models.description import CLIP, HALF, IMAGENET, MOST_SIDE, read_config, read_preprocessor
from image_retrieval.models.digest import digest_of
from image_retrieval.models.json_file import read_mapping
from image_retrieval.models.preprocessing import Channels, normalisation, wanted_size
from image_retrieval.models.source import model_folder
from image_retrieval.settings import Settings

# per model_type: the part of config.json that states the size of pictures, and its family's normalisation
FAMILIES: dict[str, tuple[str, tuple[Channels, Channels]]] = {
    "vision-encoder-decoder": ("encoder", HALF),
    "blip": ("vision_config", CLIP),
    "git": ("vision_config", CLIP),
    "florence2": ("vision_config", IMAGENET),
    "qwen2_vl": ("vision_config", CLIP),
    "qwen2_5_vl": ("vision_config", CLIP),
    "qwen3_vl": ("vision_config", HALF),
}
FOLLOWS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")  # instructions: they write any language, and all in one answer
PROMPTED = ("blip", "git", "florence2", *FOLLOWS)
SIDE = 448  # of pictures for models that read any size: 16 × 28 and 14 × 32
GENERATION = "generation_config.json"
LANGUAGES = "lang_to_id"  # in that file, as Whisper names it: the token that captions in each language begin with
# what determines a caption beside weights and config
WORDS = (GENERATION, "tokenizer*", "vocab*", "merges.txt", "added_tokens.json", "special_tokens_map.json", "*.model")
DIGITS = 32  # of a digest that are kept


@dataclass(frozen=True, slots=True)
class CaptionerDescription:
    """Model type, width and height of the pictures, and normalisation of their 8-bit values.

    `languages`: the token that captions in each language begin with; empty if the model speaks one language only.
    """

    model_type: str
    size: tuple[int, int]
    scale: float
    mean: Channels
    std: Channels
    languages: dict[str, int]


def captioner_folder(options: CaptionOptions, settings: Settings) -> Path:
    """The folder of a collection's captioner. Raises UserError if there is no such model."""
    captioner = options.captioner
    if not isinstance(captioner, CaptionModel):
        raise UserError(f"captions {captioner.name!r} are written by an endpoint, which has no model here")
    return model_folder(captioner.source, captioner.revision, settings)


def describe_captioner(folder: Path, options: CaptionOptions, *, any_language: bool = False) -> CaptionerDescription:
    """Read a captioner's files. Raises UserError if its type is not supported, or it cannot do what is asked.

    `any_language`: the languages of the options are not asked for.
    """
    config = read_config(folder)
    model_type = str(config.get("model_type"))[:80]
    if model_type not in FAMILIES:
        raise UserError(
            f"model {folder} is of type {model_type!r}, which writes no captions here: supported are "
            f"{', '.join(FAMILIES)}, or an endpoint"
        )
    part, trained_with = FAMILIES[model_type]
    preprocessor = read_preprocessor(folder)
    try:
        read_size = _whole_patches if model_type in FOLLOWS else wanted_size
        size = read_size(preprocessor, config.get(part) or {})
        scale, mean, std = normalisation(preprocessor, trained_with)
        languages = _languages(folder)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"the config or preprocessor file of model {folder} is not as expected ({told})") from None
    if any(not 1 <= side <= MOST_SIDE for side in size):
        raise UserError(f"model {folder} states pictures of {size[0]} × {size[1]} pixels: 1 to {MOST_SIDE} are used")
    if not any_language:
        _require_able(folder, model_type, languages, options)
    return CaptionerDescription(model_type, size, scale, mean, std, languages)


def _whole_patches(preprocessor: dict[str, Any], config: dict[str, Any]) -> tuple[int, int]:
    """The width and height that a preprocessor file states, else SIDE, cut to whole squares of merged patches."""
    stated = preprocessor.get("size") or {}
    unit = int(config["patch_size"]) * int(config["spatial_merge_size"])
    width, height = (int(stated.get(side) or SIDE) for side in ("width", "height"))
    return width // unit * unit, height // unit * unit


def _languages(folder: Path) -> dict[str, int]:
    stated: dict[str, Any] = read_mapping(folder / GENERATION) if (folder / GENERATION).is_file() else {}
    return {str(language): int(token) for language, token in (stated.get(LANGUAGES) or {}).items()}


def _require_able(folder: Path, model_type: str, languages: dict[str, int], options: CaptionOptions) -> None:
    """Raise UserError if the model cannot write in the languages, or takes no prompt."""
    if languages and (unknown := [language for language in options.languages if language not in languages]):
        raise UserError(f"model {folder} does not write in {unknown[0]!r}: its languages are {', '.join(languages)}")
    if not languages and len(options.languages) > 1 and model_type not in FOLLOWS:
        raise UserError(
            f"model {folder} does not state how to choose a language: captions of it have one, "
            f"not {', '.join(options.languages)}"
        )
    if options.prompt is not None and model_type not in PROMPTED:
        raise UserError(f"model {folder} of type {model_type!r} takes no prompt: remove `prompt` from `captions`")


def captions_digest(folder: Path, options: CaptionOptions) -> str:
    """32 hexadecimal digits over a captioner's files, the prompt and the longest output."""
    digest = hashlib.sha256(f"{digest_of(folder)} {options.prompt!r} {options.max_new_tokens}\n".encode())
    for path in sorted({path for name in WORDS for path in folder.glob(name)}):
        with path.open("rb") as stream:
            digest.update(f"{path.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:DIGITS]
