"""Fine-tunes a dual encoder on pictures with texts, by low-rank matrices on the attention of both towers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import structlog
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
from image_retrieval.objects import ObjectStore
from image_retrieval.training.low_rank import add_low_rank, merge_low_rank
from image_retrieval.training.pairs.caching import cached_backward
from image_retrieval.training.pairs.drawing import drawn
from image_retrieval.training.pairs.embedding import pixels_of
from image_retrieval.training.pairs.losses import contrastive_loss
from image_retrieval.training.pairs.options import PairOptions
from image_retrieval.training.pairs.paired import Paired
from image_retrieval.training.pairs.texts import TextSet
from image_retrieval.training.reading import batches
from image_retrieval.training.sampled import read_sampled
from image_retrieval.training.schedule import Recipe, optimizer_of, rate_at, set_rate, weights_of

log = structlog.get_logger()
RANK = 16
EPOCHS = 10
RECIPE = Recipe(5e-4, 0.001, 0.1)  # decay and warm-up near those of Chinese-CLIP's recipe
ATTENTION = ("self_attn", "attention")  # how transformers calls it in each layer
PART = 64  # pictures and texts that go through a tower at once
READERS = 2
STEEPEST = 1.0  # norm to which gradients are cut
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


def fine_tune(encoder: DualEncoder, paired: Paired, store: ObjectStore, options: PairOptions) -> list[float]:
    """Change the attention of the towers, or of the text tower alone; returns the mean loss of each epoch."""
    torch.manual_seed(options.seed)
    _add_matrices(encoder.model, only=dual_encoder.TEXT if options.text_only else None)
    for side in (encoder.images, encoder.texts):
        side.network.to(encoder.device)
    optimizer, losses, summed = optimizer_of(encoder.model, RECIPE.decay), [], 0.0
    batch, epochs = min(options.batch_size, len(paired.learnt)), options.epochs or EPOCHS
    epoch_steps = len(paired.learnt) // batch
    recipe = Recipe(options.rate or RECIPE.rate, RECIPE.decay, RECIPE.warm_up)
    for step, (pictures, texts, pixels) in enumerate(_batches(encoder, paired, store, options, batch)):
        summed += _backward(encoder, paired.texts, pictures, texts, pixels)
        set_rate(optimizer, rate_at(step, epoch_steps * epochs, recipe, batch))
        nn.utils.clip_grad_norm_(weights_of(optimizer), STEEPEST)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % epoch_steps == 0:
            losses.append(summed / epoch_steps)
            log.info("epoch", epoch=len(losses), epochs=epochs, loss=round(losses[-1], 4))
            summed = 0.0
    merge_low_rank(encoder.model)
    return losses


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


def _batches(
    encoder: DualEncoder, paired: Paired, store: ObjectStore, options: PairOptions, batch: int
) -> Iterator[tuple[Numbers, Numbers, torch.Tensor]]:
    """Pictures, the number of a text of each, and pixels (n, height, width, 3), of each step."""

    def plan() -> Iterator[tuple[Numbers, Numbers]]:
        for epoch in range(options.epochs or EPOCHS):
            yield from drawn(paired.texts, paired.learnt, batch, options.seed, epoch, paired.near)

    pack = read_sampled(store, paired.uri)
    wanted = (paired.positions[pictures] for pictures, _ in plan())
    for (pictures, texts), read in zip(plan(), batches(pack, store, wanted, readers=READERS), strict=True):
        whole = [
            Image.fromarray(own[:height, :width]) for own, (height, width) in zip(read.pixels, read.sizes, strict=True)
        ]
        yield pictures, texts, pixels_of(whole, encoder.images.size)


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
