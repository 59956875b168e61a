"""What training frameworks put around a network: prefixes of its names, and parts that only training needs."""

from dataclasses import replace

from image_retrieval.models.layouts.checkpoint import Checkpoint

# of data-parallel training, of lightning, and of EasyCV's wrapper of timm's models
WHOLE = ("module.", "model.", "_orig_mod.")
# of EasyCV's MoCo, MoBY and SwAV; of MoCo's and MoBY's own repositories, whose trained half is encoder_q
INNER = ("backbone.", "encoder_q.", "encoder.")


def unwrapped(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint without prefixes that say nothing, and without what lies beside a backbone."""
    weights = dict(checkpoint.weights)
    while True:
        whole = next((prefix for prefix in WHOLE if weights and all(name.startswith(prefix) for name in weights)), None)
        inner = next((prefix for prefix in INNER if any(name.startswith(prefix) for name in weights)), None)
        prefix = whole or inner
        if prefix is None:
            return replace(checkpoint, weights=weights)
        weights = {name.removeprefix(prefix): values for name, values in weights.items() if name.startswith(prefix)}
