"""Trains a text side for a model of pictures alone: its picture tower is locked, and its vectors are computed once.

Locked-image tuning (LiT: Zhai et al. 2021, arXiv 2111.07991), with the projection on the side of the texts alone, so
that the vectors of pictures stay those that a collection holds already.
"""

from collections.abc import Generator, Sequence
from math import log
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import normalize
from transformers import BertTokenizer

from image_retrieval.models.text_side import TextSide, TextSideFeatures
from image_retrieval.training.pairs.course import Course, Step
from image_retrieval.training.pairs.losses import contrastive_loss
from image_retrieval.training.schedule import Recipe

WIDTH, LAYERS, HEADS, MOST_TOKENS = 256, 2, 4, 64
RECIPE = Recipe(1e-3, 0.05, 0.1)
MOST_SCALE = 100.0  # as in CLIP
FIRST_SCALE = 1 / 0.07
DROPPED = 0.1  # tokens that a step does not see
Vectors = NDArray[np.float32]


def make_side(words_known: int, dimensions: int) -> TextSide:
    """The shape of a new text side for vectors of so many dimensions."""
    config = {
        **{"vocab_size": words_known, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS},
        **{"intermediate_size": 2 * WIDTH, "max_position_embeddings": MOST_TOKENS},
    }
    return TextSide(config, MOST_TOKENS, dimensions)


class TextTraining:
    """What learns: a text side, to the vectors (pictures, dimensions), of length 1, that its model gives pictures."""

    recipe = RECIPE

    def __init__(
        self, side: TextSide, tokenizer: BertTokenizer, vectors: Vectors, course: Course, device: torch.device
    ) -> None:
        torch.manual_seed(course.options.seed)
        network = TextSideFeatures(side)
        begin_projection(network.projection, vectors[course.paired.learnt])
        self._scale = nn.Parameter(torch.tensor(log(FIRST_SCALE)))
        network.register_parameter("scale", self._scale)
        self.module, self.device = network.to(device).train(), device
        self._tokenizer, self._course = tokenizer, course
        self._gallery = torch.from_numpy(vectors).to(device)

    def read(self, first: int) -> Generator[Step, None, None]:
        """Pictures and the number of a text of each, of each step from the first on."""
        for pictures, chosen in self._course.steps(first):
            yield pictures, chosen, None

    def backward(self, step: Step) -> float:
        """Add the gradients of one batch; returns its loss."""
        pictures, chosen, _ = step
        texts, device = self._course.paired.texts, self.device
        found = _features(self.module, self._tokenizer, [texts.texts[at] for at in chosen], device)
        belongs = torch.from_numpy(texts.hold(chosen, pictures)).to(device)
        logits = self._scale.exp() * normalize(found, dim=-1) @ self._gallery[torch.from_numpy(pictures)].T
        loss = contrastive_loss(logits, belongs)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    @torch.no_grad()
    def after_step(self) -> None:
        """Keep the scale in its bounds."""
        self._scale.clamp_(max=log(MOST_SCALE))

    def trained(self) -> TextSideFeatures:
        """The network, on the CPU, without the scale."""
        del self.module.scale
        return self.module.cpu().eval()


@torch.no_grad()
def begin_projection(projection: nn.Linear, vectors: Vectors) -> None:
    """Let a projection begin with the directions in which pictures differ most, the greater where they differ less.

    So each direction of a text counts the same at first. Directions beyond the number of pictures begin as 0.
    """
    centred = torch.from_numpy(vectors - vectors.mean(axis=0))
    _, deviations, directions = torch.linalg.svd(centred, full_matrices=False)
    kept = min(projection.in_features, int((deviations > deviations[0] * 1e-3).sum()))
    projection.weight.zero_()
    whitened = directions[:kept].T / deviations[:kept] * deviations[:kept].mean()
    projection.weight[:, :kept] = whitened / projection.in_features**0.5


def _features(
    network: TextSideFeatures, tokenizer: BertTokenizer, texts: Sequence[str], device: torch.device
) -> torch.Tensor:
    tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
    ids = tokens["input_ids"]
    unseen = (torch.rand(ids.shape) < DROPPED) & ~torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    tokens["input_ids"] = ids.masked_fill(unseen, cast(int, tokenizer.mask_token_id))
    found: torch.Tensor = network(**{name: values.to(device) for name, values in tokens.items()})
    return found
