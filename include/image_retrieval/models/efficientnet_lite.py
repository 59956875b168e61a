"""EfficientNet-Lite: a convolutional network for small machines, which transformers has no class for.

The layers are those of Google's efficientnet_lite_builder.py: EfficientNet without squeeze-and-excitation, with ReLU6.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from image_retrieval.errors import UserError
from image_retrieval.models.description import read_config
from image_retrieval.models.plausible import sizes_of, within

WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Shape:
    """What config.json says of the network: per stage its width, blocks, kernel, first stride and expansion."""

    stem_channels: int
    out_channels: Sequence[int]
    num_block_repeats: Sequence[int]
    kernel_sizes: Sequence[int]
    strides: Sequence[int]
    expand_ratios: Sequence[int]
    hidden_dim: int
    batch_norm_eps: float

    @classmethod
    def of(cls, config: dict[str, Any]) -> Self:
        """Read the shape from what config.json holds. Raises UserError where it states none."""
        missing = [field.name for field in fields(cls) if field.name not in config]
        if missing:
            raise UserError(f"config.json of an efficientnet_lite model states no {', '.join(missing)}")
        shape = cls(**{field.name: config[field.name] for field in fields(cls)})
        stages = (shape.out_channels, shape.num_block_repeats, shape.kernel_sizes, shape.strides, shape.expand_ratios)
        whole = [shape.stem_channels, shape.hidden_dim]
        try:
            whole += [number for stage in stages for number in stage]
            right = len({len(stage) for stage in stages}) == 1 and float(shape.batch_norm_eps) > 0
        except (TypeError, ValueError, ArithmeticError):
            right = False
        if not right or not all(type(number) is int and 0 < number <= 2**16 for number in whole):
            raise UserError("config.json of an efficientnet_lite model needs whole numbers, as many for each stage")
        return shape


def load_image_features(folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """The network of a folder, with batch normalisation folded into the convolutions.

    Raises UserError where its config or weights are not complete, or do not fit each other.
    """
    try:
        shape, sizes = Shape.of(read_config(folder)), sizes_of([folder / WEIGHTS])
        with within(sizes):
            network = ImageFeatures(shape)
        network.load_state_dict(load_file(folder / WEIGHTS), strict=True, assign=True)
    except (OSError, ValueError, RuntimeError, SafetensorError, UserError) as error:
        message = " ".join(str(error).split())
        raise UserError(f"model {folder} does not load: {message[:300]}") from None
    network.eval()
    with torch.no_grad():
        network.float().fold()
    return network.to(dtype)


class ImageFeatures(torch.nn.Module):
    """Normalised pixels (batch, 3, height, width) to features (batch, hidden_dim)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        eps = shape.batch_norm_eps
        self.stem = _Convolution(3, shape.stem_channels, kernel=3, stride=2, eps=eps)
        self.blocks = torch.nn.Sequential(*_blocks(shape))
        self.head = _Convolution(shape.out_channels[-1], shape.hidden_dim, eps=eps)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.head(self.blocks(self.stem(pixels)))
        return features.mean(dim=(2, 3))

    def fold(self) -> None:
        """Make each convolution and its normalisation one convolution."""
        for part in self.modules():
            if isinstance(part, _Convolution):
                part.fold()


def _blocks(shape: Shape) -> Iterator[torch.nn.Module]:
    before = shape.stem_channels
    stages = zip(
        shape.out_channels,
        shape.num_block_repeats,
        shape.kernel_sizes,
        shape.strides,
        shape.expand_ratios,
        strict=True,
    )
    for channels, repeats, kernel, stride, expansion in stages:
        for index in range(repeats):
            first = stride if index == 0 else 1
            yield _Block(before, channels, kernel=kernel, stride=first, expansion=expansion, eps=shape.batch_norm_eps)
            before = channels


class _Block(torch.nn.Module):
    """An inverted residual block, with a way around it where it changes neither size nor number of channels."""

    def __init__(self, before: int, after: int, *, kernel: int, stride: int, expansion: int, eps: float) -> None:
        super().__init__()
        inner = before * expansion
        expand = [_Convolution(before, inner, eps=eps)] if expansion != 1 else []
        self.expand = torch.nn.Sequential(*expand)
        self.depthwise = _Convolution(inner, inner, kernel=kernel, stride=stride, groups=inner, eps=eps)
        self.project = _Convolution(inner, after, relu=False, eps=eps)
        self.residual = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + changed if self.residual else changed


class _Convolution(torch.nn.Module):
    """A convolution padded as TensorFlow's SAME, batch normalisation, and ReLU6 unless left out."""

    norm: torch.nn.Module

    def __init__(
        self,
        before: int,
        after: int,
        *,
        eps: float,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.relu = kernel, stride, relu
        self.conv = torch.nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.norm = torch.nn.BatchNorm2d(after, eps=eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        rows, columns = same_padding(height, self.kernel, self.stride), same_padding(width, self.kernel, self.stride)
        padded = torch.nn.functional.pad(x, (*columns, *rows)) if self.kernel > 1 else x
        found: torch.Tensor = self.norm(self.conv(padded))
        return torch.nn.functional.relu6(found) if self.relu else found

    def fold(self) -> None:
        if isinstance(self.norm, torch.nn.BatchNorm2d):
            self.conv = torch.nn.utils.fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = torch.nn.Identity()
            weight = self.conv.weight.contiguous(memory_format=torch.channels_last)  # as the pixels lie
            self.conv.weight = torch.nn.Parameter(weight)


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """How much TensorFlow's SAME adds before and after a side: ceil(length / stride) places, an odd one after."""
    whole = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return whole // 2, whole - whole // 2
