"""Gradient caching (Gao et al. 2021, arXiv 2101.06983): the gradients of a large batch in the memory of a small one.

All parts of a batch are embedded without keeping activations; the loss gives the gradient of each vector; then each
part is embedded again, and the gradients of its vectors go on to the weights.
"""

from collections.abc import Callable, Sequence

import torch

Encode = Callable[[], torch.Tensor]


def cached_backward(
    sides: Sequence[Sequence[Encode]], loss_of: Callable[..., torch.Tensor], *, device: torch.device
) -> float:
    """Add the gradients of a loss to those of the weights; returns the loss.

    Each side is made of parts, which compute vectors (n, d) and are called twice: what is random in them follows from
    torch's state, which is the same both times. `loss_of` takes one tensor for each side, all its parts in their order.
    """
    devices = [device] if device.type == "cuda" else []
    states: list[list[tuple[torch.Tensor, list[torch.Tensor]]]] = []
    vectors: list[torch.Tensor] = []
    for side in sides:
        found, before = [], []
        for encode in side:
            before.append((torch.get_rng_state(), [torch.cuda.get_rng_state(each) for each in devices]))
            with torch.no_grad():
                found.append(encode())
        states.append(before)
        vectors.append(torch.cat(found).requires_grad_())
    loss = loss_of(*vectors)
    loss.backward()  # type: ignore[no-untyped-call]
    for side, before, whole in zip(sides, states, vectors, strict=True):
        first = 0
        for encode, (own, others) in zip(side, before, strict=True):
            with torch.random.fork_rng(devices):
                torch.set_rng_state(own)
                for place, state in zip(devices, others, strict=True):
                    torch.cuda.set_rng_state(state, place)
                part = encode()
            if whole.grad is not None and part.requires_grad:
                part.backward(whole.grad[first : first + len(part)])  # type: ignore[no-untyped-call]
            first += len(part)
    return loss.item()
