"""The contrastive losses."""

import torch
from torch.nn.functional import cross_entropy, normalize


def pairs_loss(logits: torch.Tensor, also_true: torch.Tensor) -> torch.Tensor:
    """The symmetric contrastive loss of CLIP (Radford et al. 2021), of texts (rows) and images (columns).

    Text i was made of image i. `also_true` marks what holds of more images than its own: such pairs count neither way.
    Rows beyond the number of images are texts that hold of none.
    """
    images = logits.shape[1]
    own = torch.arange(images, device=logits.device)
    masked = also_true.clone()
    masked[own, own] = False
    logits = logits.masked_fill(masked, float("-inf"))
    return (cross_entropy(logits[:images], own) + cross_entropy(logits.T, own)) / 2


def patches_loss(patches: torch.Tensor, shown: torch.Tensor, temperature: float) -> torch.Tensor:
    """Each patch of a thing against the mean patch of every other picture's things: its pair's shall be the nearest.

    patches (2n, patches, d) of n pairs, the second of each n further on; shown (2n, patches): which are of things.
    """
    patches = normalize(patches, dim=-1)
    means = normalize((patches * shown[..., None]).sum(dim=1), dim=-1)
    pictures = torch.arange(len(patches), device=patches.device)[:, None].expand_as(shown)[shown]
    logits = patches[shown] @ means.T / temperature
    logits = logits.scatter(1, pictures[:, None], float("-inf"))
    return cross_entropy(logits, (pictures + len(patches) // 2) % len(patches))


def views_loss(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """NT-Xent of SimCLR (Chen et al. 2020): vectors of length 1 (n, d) of two views of the same n pictures."""
    vectors = torch.cat([first, second])
    logits = vectors @ vectors.T / temperature
    logits.fill_diagonal_(float("-inf"))
    other = torch.arange(len(vectors), device=logits.device).roll(len(first))
    return cross_entropy(logits, other)
