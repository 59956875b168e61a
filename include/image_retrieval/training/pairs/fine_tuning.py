"""Fine-tunes a dual encoder on pictures with texts, by low-rank matrices on the attention of both towers."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from transformers import PreTrainedModel

from image_retrieval.models import dual_encoder, siglip2
from image_retrieval.models.description import ModelDescription
from image_retrieval.models.loading import load_model, usable_device
from image_retrieval.models.tokens import Tokens, load_tokens
from image_retrieval.models.towers import ImageNetwork, ImageTower, TextNetwork, TextTower
from image_retrieval.training.low_rank import add_low_rank, merge_low_rank
from image_retrieval.training.pairs.caching import cached_backward
from image_retrieval.training.pairs.course import Course, Step
from image_retrieval.training.pairs.embedding import pixels_of
from image_retrieval.training.pairs.losses import contrastive_loss
from image_retrieval.training.pairs.texts import TextSet
from image_retrieval.training.reading import batches
from image_retrieval.training.sampled import read_sampled
from image_retrieval.training.schedule import Recipe

RANK = 16
RECIPE = Recipe(5e-4, 0.001, 0.1)  # decay and warm-up near those of Chinese-CLIP's recipe
ATTENTION = ("self_attn", "attention")  # how transformers calls it in each layer
PART = 64  # pictures and texts that go through a tower at once
READERS = 2
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DualEncoder:
    """Both towers of one model, whose weights may change, and its tokenizer."""

    model: PreTrainedModel
    images: ImageTower
    texts: TextTower
    tokens: Tokens

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.images.device


def load_dual_encoder(folder: Path, described: ModelDescription, device: str) -> DualEncoder:
    """A dual encoder in float32. Raises UserError if it cannot be loaded."""
    place, tokens = usable_device(device), load_tokens(folder, described.model_type)
    model = load_model(folder, torch.float32)
    native = described.model_type == "siglip2"
    features = siglip2.ImageFeatures(model) if native else dual_encoder.ImageFeatures(model)
    images = ImageNetwork(described, torch.float32, features).to(place)
    texts = TextNetwork(dual_encoder.TextFeatures(model)).to(place)
    return DualEncoder(
        model,
        ImageTower(described.dimensions, described.size, place, images, ""),
        TextTower(described.dimensions, place, tokens, texts, ""),
        tokens,
    )


class FineTuning:
    """What learns: matrices on the attention of both towers, or of the text tower alone."""

    recipe = RECIPE

    def __init__(self, encoder: DualEncoder, course: Course) -> None:
        torch.manual_seed(course.options.seed)
        _add_matrices(encoder.model, only=dual_encoder.TEXT if course.options.text_only else None)
        for side in (encoder.images, encoder.texts):
            side.network.to(encoder.device)
        self._encoder, self._course = encoder, course
        self.module, self.device = encoder.model, encoder.device

    def read(self, first: int) -> Generator[Step, None, None]:
        """Pictures, the number of a text of each, and pixels (n, height, width, 3), of each step from the first on."""
        course, size = self._course, self._encoder.images.size
        pack = read_sampled(course.store, course.paired.uri)
        wanted = (course.paired.positions[pictures] for pictures, _ in course.steps(first))
        reading = batches(pack, course.store, wanted, readers=READERS)
        for (pictures, texts), found in zip(course.steps(first), reading, strict=True):
            whole = [
                Image.fromarray(own[:height, :width])
                for own, (height, width) in zip(found.pixels, found.sizes, strict=True)
            ]
            yield pictures, texts, pixels_of(whole, size)

    def backward(self, step: Step) -> float:
        """Add the gradients of one batch; returns its loss."""
        pictures, chosen, pixels = step
        assert pixels is not None
        return _backward(self._encoder, self._course.paired.texts, pictures, chosen, pixels)

    def after_step(self) -> None:
        """Nothing."""

    def merge(self) -> None:
        """Make the matrices parts of the weights."""
        merge_low_rank(self._encoder.model)


def attention_weights(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """The matrices that fine-tuning may change, by their names."""
    found: dict[str, nn.Parameter] = {}
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in ATTENTION:
            found |= {f"{name}.{own}": weight for own, weight in module.named_parameters() if weight.dim() == 2}
    return found


def _add_matrices(model: PreTrainedModel, only: tuple[str, ...] | None) -> None:
    model.requires_grad_(requires_grad=False)
    for name, module in list(model.named_modules()):
        if name.rpartition(".")[2] in ATTENTION and (only is None or name.startswith(only)):
            add_low_rank(module, RANK)


def _backward(encoder: DualEncoder, texts: TextSet, pictures: Numbers, chosen: Numbers, pixels: torch.Tensor) -> float:
    """Add the gradients of one batch; returns its loss."""
    belongs = torch.from_numpy(texts.hold(chosen, pictures)).to(encoder.device)
    scale = encoder.model.get_parameter("logit_scale").exp()

    def loss_of(read: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(scale * read @ seen.T, belongs)

    words = [texts.texts[at] for at in chosen]
    sides: list[list[Callable[[], torch.Tensor]]] = [
        [partial(_read, encoder, words[at : at + PART]) for at in range(0, len(words), PART)],
        [partial(_see, encoder, pixels[at : at + PART]) for at in range(0, len(pixels), PART)],
    ]
    return cached_backward(sides, loss_of, device=encoder.device)


def _read(encoder: DualEncoder, words: Sequence[str]) -> torch.Tensor:
    tokens = {name: values.to(encoder.device) for name, values in encoder.tokens(words).items()}
    found: torch.Tensor = encoder.texts.network(**tokens)
    return found


def _see(encoder: DualEncoder, pixels: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = encoder.images.network(pixels.to(encoder.device))
    return found
