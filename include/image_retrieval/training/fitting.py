"""What must hold before a training begins: batches that divide, pictures that differ, crops that the model takes."""

import numpy as np
import torch
from PIL import Image

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training import ranks
from image_retrieval.training.near_duplicates import ALIKE_LEVELS
from image_retrieval.training.objectives.base import Objective
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.packs import THUMBNAIL_SIDE
from image_retrieval.training.reading import batches
from image_retrieval.training.sampled import Sampled

FEWEST = 2  # pictures a process takes at once: batch normalisation knows nothing of one
LOOKED_AT = 64  # pictures that are compared


def require_batches(options: TrainingOptions, images: int) -> None:
    """Raise UserError if the pictures do not fill a batch, or a batch does not divide into parts."""
    parts = options.accumulate * ranks.world()
    if options.batch_size > images:
        raise UserError(
            f"{options.pack} has {images} pictures to learn from: --batch-size {options.batch_size} is more"
        )
    if options.batch_size % parts or options.batch_size // parts < FEWEST:
        raise UserError(
            f"--batch-size {options.batch_size} does not divide into {parts} parts of at least {FEWEST} pictures "
            f"({ranks.world()} processes, --accumulate {options.accumulate})"
        )


def require_kinds(options: TrainingOptions, pack: Sampled) -> None:
    """Raise UserError if the method has nothing to tell apart: all pictures are of one group."""
    if options.method == "continue" and pack.classes.max() == 0:
        raise UserError(
            f"all {len(pack.learnt)} pictures of {pack.uri} are of one group, which --method continue counts as one "
            "picture: use --method moco, or pack them without group_id"
        )


def require_different(options: TrainingOptions, pack: Sampled, store: ObjectStore) -> None:
    """Raise UserError if pictures from all over the pack look alike; it reads LOOKED_AT of them."""
    chosen = pack.learnt[np.linspace(0, len(pack.learnt) - 1, LOOKED_AT).astype(np.int64)]
    [batch] = batches(pack, store, [chosen], readers=options.readers)
    small = np.stack(
        [
            np.asarray(Image.fromarray(pixels[:height, :width]).resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.BOX))
            for pixels, (height, width) in zip(batch.pixels, batch.sizes.tolist(), strict=True)
        ]
    ).astype(np.int16)
    if (np.abs(small - small[0]).mean(axis=(1, 2, 3)) <= ALIKE_LEVELS).all():
        raise UserError(f"the pictures of {pack.uri} all look alike: there is nothing to learn from them")


@torch.no_grad()
def require_crops(objective: Objective, device: torch.device) -> None:
    """Raise UserError if the encoder does not take the objective's views."""
    objective.eval()
    for side in sorted({view.side for view in objective.views}):
        try:
            objective.encoder(torch.zeros(1, 3, side, side, device=device))
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            told = " ".join(str(error).split())[:200]
            raise UserError(f"the model does not take views of {side} × {side} pixels ({told}): raise --crop") from None
