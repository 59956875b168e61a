"""Foreign layouts of weights, each turned into the config and the names that this project's towers load.

Every layout is a function from a checkpoint to a `Converted`. It is found by the names of the weights, and takes all
of them: weights that it does not know belong to another network, whose vectors would be wrong.
"""

from image_retrieval.errors import UserError
from image_retrieval.models.layouts import chinese_clip, efficientnet_lite, open_clip, resnet, swin, vit
from image_retrieval.models.layouts.checkpoint import Checkpoint, Converted
from image_retrieval.models.layouts.wrappers import unwrapped

LAYOUTS = (chinese_clip, open_clip, efficientnet_lite, swin, vit, resnet)
KNOWN = "transformers, Chinese-CLIP, open_clip, DINOv2, timm's ViT, ResNet and Swin, EasyCV, and EfficientNet-Lite"


def convert(checkpoint: Checkpoint) -> Converted:
    """The checkpoint as a model that the towers load. Raises UserError where its layout is none of those known."""
    inner = unwrapped(checkpoint)
    names = frozenset(inner.weights)
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
