"""The contrastive loss of texts and pictures, of which several may belong together.

UniCL (Yang et al. 2022, arXiv 2204.03610, equations 3 to 5), the supervised contrastive loss in both directions.
"""

import torch


def contrastive_loss(logits: torch.Tensor, belongs: torch.Tensor) -> torch.Tensor:
    """Of texts (rows) and pictures (columns): for each, the mean of −log softmax over those that belong to it.

    logits (texts, pictures), similarities times the scale; belongs (texts, pictures), bool, true for each text's own
    picture. Rows and columns that nothing belongs to count as negatives only. Where each has one, it is CLIP's loss.
    """
    return (_one_way(logits, belongs) + _one_way(logits.T, belongs.T)) / 2


def _one_way(logits: torch.Tensor, belongs: torch.Tensor) -> torch.Tensor:
    asked = belongs.any(dim=1)
    own = belongs[asked].to(logits.dtype)
    shares = torch.log_softmax(logits[asked], dim=1)
    return -((shares * own).sum(dim=1) / own.sum(dim=1)).mean()
