"""Foreign layouts of weights, each turned into the config and the names that this project's towers load.

Every layout is a function from a checkpoint to a `Converted`. It is found by the names of the weights, and takes all
of them: weights that it does not know belong to another network, whose vectors would be wrong.
"""

import re

from image_retrieval.errors import UserError
from image_retrieval.models.layouts import chinese_clip, efficientnet_lite, open_clip, resnet, swin, vit
from image_retrieval.models.layouts.checkpoint import Checkpoint, Converted
from image_retrieval.models.layouts.wrappers import unwrapped

# rotary positions, gated halves and a key without bias: transformers has no class for any of them
EVA = re.compile(r"(?:^|\.)blocks\.\d+\.(?:attn\.(?:q_bias|q_proj\.|rope\.)|mlp\.(?:fc1_g|w1)\.)|(?:^|\.)rope\.freqs")
LAYOUTS = (chinese_clip, open_clip, efficientnet_lite, swin, vit, resnet)
KNOWN = "transformers, Chinese-CLIP, open_clip, DINOv2, timm's ViT, ResNet and Swin, EasyCV, and EfficientNet-Lite"


def convert(checkpoint: Checkpoint) -> Converted:
    """The checkpoint as a model that the towers load. Raises UserError where its layout is none of those known."""
    inner = unwrapped(checkpoint)
    names = frozenset(inner.weights)
    if eva := next((name for name in sorted(names) if EVA.search(name)), None):
        raise UserError(
            f"the weights are those of EVA, EVA-02 or BEiT ({eva}), which are not supported: DINOv2, DINOv3, CLIP and "
            "SigLIP 2 are"
        )
    layout = next((layout for layout in LAYOUTS if layout.matches(names)), None)
    if layout is None:
        some = ", ".join(sorted(names)[:3]) or "none"
        raise UserError(f"weights such as {some} are of no known layout: known are {KNOWN}")
    try:
        found: Converted = layout.convert(inner)
    except UserError:
        raise
    except Exception as error:  # weights of any shapes, and a file beside them that may state anything
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"the weights are not shaped as those of {layout.NAME} ({told[:200]})") from None
    return found
