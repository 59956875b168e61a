"""The processes of one training, as torchrun starts them: which one this is, and what they exchange.

A process alone is one of one. Each has as many rows of a batch as the others, those of rank 0 first, so that what is
drawn for the whole batch is the same for any number of processes.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from image_retrieval.errors import Unavailable, UserError

Found = TypeVar("Found")


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the other processes, if torchrun started this one; yields the device that is this process's own.

    Several trainings of one process may be within one such block.
    """
    on_gpu, alone = device.startswith("cuda"), int(os.environ.get("WORLD_SIZE", "1")) == 1
    own = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu and not alone else device
    if alone or distributed.is_initialized():
        yield own
        return
    if on_gpu:
        torch.cuda.set_device(own)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield own
    finally:
        distributed.destroy_process_group()


def world() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def from_first(work: Callable[[], Found]) -> Found:
    """What rank 0 finds by `work`, in all processes. Its UserError is raised in all of them."""
    if world() == 1:
        return work()
    found: list[Any] = [None, None, False]
    if rank() == 0:
        try:
            found[0] = work()
        except UserError as error:
            found[1:] = str(error), isinstance(error, Unavailable)
    distributed.broadcast_object_list(found, src=0, device=torch.device("cpu"))
    value, message, unavailable = found
    if message is not None:
        raise (Unavailable if unavailable else UserError)(message)
    return value  # type: ignore[no-any-return]


def own_rows(values: torch.Tensor) -> torch.Tensor:
    """This process's rows of a whole batch."""
    return values.chunk(world())[rank()]


def rand(rows: int, *shape: int, rng: torch.Generator) -> torch.Tensor:
    """Uniform numbers for this process's rows: those that one process would draw for them in the whole batch."""
    return own_rows(torch.rand(rows * world(), *shape, generator=rng))


@torch.no_grad()
def gathered(values: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, in order of rank, without gradient."""
    if world() == 1:
        return values.detach()
    parts = [torch.empty_like(values) for _ in range(world())]
    distributed.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, values: torch.Tensor) -> torch.Tensor:
        found = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(found)
        return found

    @staticmethod
    def backward(_: Any, *gradients: torch.Tensor) -> torch.Tensor:
        found = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(found)
        return found


def summed(values: torch.Tensor) -> torch.Tensor:
    """The sum over all processes, through which gradients flow."""
    found: torch.Tensor = _Sum.apply(values) if world() > 1 else values  # type: ignore[no-untyped-call]
    return found


@torch.no_grad()
def mean_of(value: torch.Tensor) -> torch.Tensor:
    """The mean over all processes."""
    return gathered(value.reshape(1)).mean() if world() > 1 else value


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process."""
    return bool(gathered(torch.tensor([float(flag)], device=device)).max() > 0) if world() > 1 else flag


@torch.no_grad()
def share_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all processes."""
    if world() == 1:
        return
    found = [weight.grad for weight in weights if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in found])
    distributed.all_reduce(flat)
    flat /= world()
    for gradient, mean in zip(found, torch.split(flat, [gradient.numel() for gradient in found]), strict=True):
        gradient.copy_(mean.view_as(gradient))


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation by the rows of all processes; torch has such a one for GPUs alone."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Any number of dimensions will do."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(input)
        values, over = input.float(), [0, *range(2, input.dim())]
        shape = [1, -1] + [1] * (input.dim() - 2)
        count = values.numel() // values.shape[1] * world()
        mean = summed(values.sum(over)) / count
        centred = values - mean.view(shape)
        variance = summed((centred**2).sum(over)) / count
        with torch.no_grad():
            if self.running_mean is not None and self.running_var is not None and self.momentum is not None:
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * count / max(1, count - 1), self.momentum)
        found = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            found = found * self.weight.view(shape) + self.bias.view(shape)
        return found.to(input.dtype)


def with_shared_norms(module: nn.Module, device: torch.device) -> nn.Module:
    """A module whose batch normalisations count the rows of all processes."""
    if world() == 1:
        return module
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return converted
    for part in list(module.modules()):
        for own, child in list(part.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                norm = SharedBatchNorm(child.num_features, child.eps, child.momentum, child.affine)
                norm.load_state_dict(child.state_dict())
                norm.train(child.training)
                for weight, before in zip(norm.parameters(), child.parameters(), strict=True):
                    weight.requires_grad_(before.requires_grad)
                setattr(part, own, norm)
    return module
