"""Makes the objective of a method for a backbone, with its recipe."""

from dataclasses import replace

from torch import nn

from image_retrieval.errors import UserError
from image_retrieval.training.backbones import Backbone
from image_retrieval.training.objectives.base import LONG, Objective, Sizes
from image_retrieval.training.objectives.diet import MOST_CLASSES, Diet
from image_retrieval.training.objectives.moby import MoBY
from image_retrieval.training.objectives.moco import MoCo2, MoCo3
from image_retrieval.training.objectives.swav import SwAV
from image_retrieval.training.options import RANDOM, TrainingOptions
from image_retrieval.training.schedule import Recipe

# the published rates and decays, but for those of MoCo v2 and SwAV, which are for SGD
MOCO_2, MOCO_3 = Recipe(1e-3, 1e-4, 0.05), Recipe(1.5e-4, 0.1, 40 / 300)
CONTINUED = Recipe(1e-3, 0.05, 0.1)
CONTINUED_WHOLE = Recipe(2e-4, 0.05, 0.1)  # where all weights are free
MOBY, SWAV = Recipe(5e-4, 0.05, 5 / 300), Recipe(1e-3, 1e-6, 0.05)
SWAV_TRANSFORMER = Recipe(5e-4, 0.05, 0.1)  # twice the rate collapses; the decay is that of other transformers
SHORT_RATE, SHORT_WARM_UP = 2e-3, 0.1  # at least, of a transformer that begins from nothing, in less than LONG steps
BACKBONE = {"moco": "vit_small", "moby": "vit_small", "swav": "resnet50"}  # of a start from nothing, unless told


def require_fit(options: TrainingOptions) -> None:
    """Raise UserError if method, start and backbone do not go together."""
    if options.start != RANDOM and options.backbone:
        raise UserError(f"--backbone goes with --start {RANDOM}: a checkpoint has a backbone of its own")
    if options.start == RANDOM and options.method == "continue":
        raise UserError("--method continue goes on from a checkpoint: give --start a model, or another --method")


def objective_of(
    options: TrainingOptions, backbone: Backbone, images: int, classes: int, steps: int
) -> tuple[Objective, Recipe]:
    """The objective and its recipe. Raises UserError if the method does not fit the backbone or the pictures."""
    sizes = Sizes(backbone.width, backbone.side, images, options.batch_size, classes)
    normed = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in backbone.encoder.modules())
    match options.method:
        case "moco":
            if normed:
                return MoCo2(backbone.encoder, sizes, steps), MOCO_2
            return MoCo3(backbone.encoder, sizes), _for_steps(MOCO_3, options, steps)
        case "moby":
            if backbone.family != "vision_transformer" and not backbone.model_type.startswith("swin"):
                raise UserError(f"--method moby is for vision transformers and Swin, not for {backbone.model_type}")
            return MoBY(backbone.encoder, sizes), _for_steps(MOBY, options, steps)
        case "swav":
            swav = SwAV(backbone.encoder, sizes, options.epochs, steps)
            return swav, SWAV if normed else SWAV_TRANSFORMER
        case "continue":
            if classes > MOST_CLASSES:
                raise UserError(f"--method continue tells at most {MOST_CLASSES:,} pictures apart: use --method moco")
            found = Diet(backbone.encoder, sizes)
            whole = all(weight.requires_grad for weight in backbone.encoder.parameters())
            return found, CONTINUED_WHOLE if whole else CONTINUED


def _for_steps(recipe: Recipe, options: TrainingOptions, steps: int) -> Recipe:
    """The recipe for a training of a transformer of so many steps."""
    if options.start != RANDOM or steps >= LONG:
        return recipe
    return replace(recipe, rate=max(recipe.rate, SHORT_RATE), warm_up=max(recipe.warm_up, SHORT_WARM_UP))


def with_rate(recipe: Recipe, rate: float | None) -> Recipe:
    """The recipe with another rate, if one is given."""
    return recipe if rate is None else replace(recipe, rate=rate)
