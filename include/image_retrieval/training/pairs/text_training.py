"""Trains a text side for a model of pictures alone: its picture tower is locked, and its vectors are computed once.

Locked-image tuning (LiT: Zhai et al. 2021, arXiv 2111.07991), with the projection on the side of the texts alone, so
that the vectors of pictures stay those that a collection holds already.
"""

from collections.abc import Sequence
from math import log
from typing import cast

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import normalize
from transformers import BertTokenizer

from image_retrieval.models.text_side import TextSide, TextSideFeatures
from image_retrieval.training.pairs.drawing import drawn
from image_retrieval.training.pairs.losses import contrastive_loss
from image_retrieval.training.pairs.options import PairOptions
from image_retrieval.training.pairs.texts import TextSet
from image_retrieval.training.schedule import Recipe, optimizer_of, rate_at, set_rate, weights_of

logger = structlog.get_logger()
WIDTH, LAYERS, HEADS, MOST_TOKENS = 256, 2, 4, 64
EPOCHS = 60
RECIPE = Recipe(1e-3, 0.05, 0.1)
MOST_SCALE = 100.0  # as in CLIP
FIRST_SCALE = 1 / 0.07
DROPPED = 0.1  # tokens that a step does not see
STEEPEST = 1.0  # norm to which gradients are cut
EVERY = 10  # epochs between log lines
Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]


def make_side(words_known: int, dimensions: int) -> TextSide:
    """The shape of a new text side for vectors of so many dimensions."""
    config = {
        **{"vocab_size": words_known, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS},
        **{"intermediate_size": 2 * WIDTH, "max_position_embeddings": MOST_TOKENS},
    }
    return TextSide(config, MOST_TOKENS, dimensions)


def train_text_side(
    side: TextSide,
    tokenizer: BertTokenizer,
    texts: TextSet,
    vectors: Vectors,
    learnt: Numbers,
    options: PairOptions,
    device: torch.device,
) -> tuple[TextSideFeatures, list[float]]:
    """The trained network on the CPU, and the mean loss of each epoch.

    `vectors` (pictures, dimensions) have length 1; those of the numbers `learnt` are learnt from.
    """
    torch.manual_seed(options.seed)
    network = TextSideFeatures(side)
    begin_projection(network.projection, vectors[learnt])
    scale = nn.Parameter(torch.tensor(log(FIRST_SCALE)))
    network.register_parameter("scale", scale)
    network.to(device).train()
    optimizer, losses = optimizer_of(network, RECIPE.decay), []
    batch, epochs = min(options.batch_size, len(learnt)), options.epochs or EPOCHS
    steps = epochs * (len(learnt) // batch)
    recipe = Recipe(options.rate or RECIPE.rate, RECIPE.decay, RECIPE.warm_up)
    done, gallery = 0, torch.from_numpy(vectors).to(device)
    for epoch in range(epochs):
        summed = 0.0
        for pictures, chosen in drawn(texts, learnt, batch, options.seed, epoch):
            found = _features(network, tokenizer, [texts.texts[at] for at in chosen], device)
            belongs = torch.from_numpy(texts.hold(chosen, pictures)).to(device)
            logits = scale.exp() * normalize(found, dim=-1) @ gallery[torch.from_numpy(pictures)].T
            loss = contrastive_loss(logits, belongs)
            set_rate(optimizer, rate_at(done, steps, recipe, batch))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(weights_of(optimizer), STEEPEST)
            optimizer.step()
            with torch.no_grad():
                scale.clamp_(max=log(MOST_SCALE))
            summed, done = summed + loss.item(), done + 1
        losses.append(summed / (len(learnt) // batch))
        if (epoch + 1) % EVERY == 0 or epoch + 1 == epochs:
            logger.info("epoch", epoch=epoch + 1, epochs=epochs, loss=round(losses[-1], 4))
    del network.scale
    return network.cpu().eval(), losses


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
