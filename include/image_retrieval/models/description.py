"""Reads the description of a model from its own files, without torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from image_retrieval.errors import UserError
from image_retrieval.models.calibration import read_calibration
from image_retrieval.models.json_file import read_mapping
from image_retrieval.models.preprocessing import Channels, normalisation, wanted_size

Family = Literal["vision_transformer", "dual_encoder", "pooled_backbone", "efficientnet_lite"]
Config = dict[str, Any]

# each family's training means and standard deviations of the channels, as in transformers' image_utils
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = IMAGENET_MEAN, IMAGENET_STD
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
CENTRED = (127 / 255,) * 3, (128 / 255,) * 3  # of TensorFlow's models for small machines
# of a text side that was trained for a model of pictures alone, beside its files
TEXT_SIDE, TEXT_WEIGHTS = "text_side.json", "text_side.safetensors"
MOST_SIDE = 4096  # as of a collection's target_size
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def _vision(config: Config) -> Config:
    found: Config = config.get("vision_config") or {}
    return found


def _hidden(config: Config) -> Any:
    return config.get("hidden_size")


def _last_stage(config: Config) -> Any:
    return config["hidden_sizes"][-1]


def _doubled_by_stage(config: Config) -> Any:
    return config["embed_dim"] * 2 ** (len(config["depths"]) - 1)


def _before_the_classes(config: Config) -> Any:
    return config.get("hidden_dim")


# the default of transformers if a file leaves it out, as files of dual encoders do
def _projected(config: Config) -> Any:
    return config.get("projection_dim", 512)


def _hidden_of_vision(config: Config) -> Any:
    return _vision(config).get("hidden_size", 768)


# per model_type: its family, where config.json has the dimension of its vectors, and its family's normalisation
FAMILIES: dict[str, tuple[Family, Callable[[Config], Any], tuple[Channels, Channels]]] = {
    "vit": ("vision_transformer", _hidden, HALF),
    "dinov2": ("vision_transformer", _hidden, IMAGENET),
    "dinov2_with_registers": ("vision_transformer", _hidden, IMAGENET),
    "dinov3_vit": ("vision_transformer", _hidden, IMAGENET),
    "clip": ("dual_encoder", _projected, CLIP),
    "chinese_clip": ("dual_encoder", _projected, CLIP),
    "siglip": ("dual_encoder", _hidden_of_vision, HALF),
    "siglip2": ("dual_encoder", _hidden_of_vision, HALF),
    "resnet": ("pooled_backbone", _last_stage, IMAGENET),
    "convnext": ("pooled_backbone", _last_stage, IMAGENET),
    "convnextv2": ("pooled_backbone", _last_stage, IMAGENET),
    "dinov3_convnext": ("pooled_backbone", _last_stage, IMAGENET),
    "swin": ("pooled_backbone", _doubled_by_stage, IMAGENET),
    "swinv2": ("pooled_backbone", _doubled_by_stage, IMAGENET),
    "efficientnet_lite": ("efficientnet_lite", _before_the_classes, CENTRED),
}

# text embedding models: `models add` takes them, for the captions of collections
TEXT_ENCODERS = ("bert", "xlm-roberta", "qwen3")


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Family, dimension of the vectors, width and height of the pictures, and normalisation of their 8-bit values.

    `calibration` is the content of calibration.json, if the model has one. `image_family` is the family of the image
    side alone; `family` is `dual_encoder` where a text side lies beside it.
    """

    family: Family
    model_type: str
    dimensions: int
    size: tuple[int, int]
    scale: float
    mean: Channels
    std: Channels
    calibration: dict[str, Any] | None = None
    image_family: Family = "dual_encoder"


def describe(folder: Path) -> ModelDescription:
    """Read a model's config and preprocessor files. Raises UserError if its type is not supported."""
    config = read_config(folder)
    model_type = str(config.get("model_type"))[:80]
    if model_type in TEXT_ENCODERS:
        raise UserError(
            f"model {folder} of type {model_type!r} reads texts only: a collection needs a model with an image side, "
            "such as CLIP, DINOv2 or ResNet"
        )
    if model_type not in FAMILIES:
        raise UserError(f"model {folder} is of type {model_type!r}: supported are {', '.join(FAMILIES)}")
    image_family, length, trained_with = FAMILIES[model_type]
    family: Family = "dual_encoder" if (folder / TEXT_SIDE).is_file() else image_family
    preprocessor = read_preprocessor(folder)
    try:
        dimensions = length(config)
        size = wanted_size(preprocessor, _vision(config) or config)
        scale, mean, std = normalisation(preprocessor, trained_with)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"the config or preprocessor file of model {folder} is not as expected ({told})") from None
    if any(not 1 <= side <= MOST_SIDE for side in size):
        raise UserError(f"model {folder} states pictures of {size[0]} × {size[1]} pixels: 1 to {MOST_SIDE} are used")
    if not isinstance(dimensions, int):
        raise UserError(f"{folder / 'config.json'} does not state the length of the model's vectors")
    calibration = read_calibration(folder)
    return ModelDescription(family, model_type, dimensions, size, scale, mean, std, calibration, image_family)


def is_text_encoder(folder: Path) -> bool:
    """Whether a model reads texts only. Raises UserError if its config.json is no JSON object."""
    return read_config(folder).get("model_type") in TEXT_ENCODERS


def read_config(folder: Path) -> Config:
    """A model's config.json. Raises UserError if it is no JSON object."""
    return read_mapping(folder / "config.json")


def read_preprocessor(folder: Path) -> Config:
    """The image part of a model's preprocessor file; empty if there is none."""
    own = _read(folder / "preprocessor_config.json", {})
    whole = _read(folder / "processor_config.json", {})  # written by newer versions of transformers
    return own or whole.get("image_processor") or {}


def _read(path: Path, missing: Config) -> Config:
    return read_mapping(path) if path.is_file() else missing
