"""The network is held to one written out in NumPy: loops instead of torch's layers, padding by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from image_retrieval.errors import UserError
from image_retrieval.models.description import describe
from image_retrieval.models.efficientnet_lite import ImageFeatures, Shape, same_padding
from image_retrieval.models.towers import load_image_tower

CONFIG = {
    "model_type": "efficientnet_lite",
    "image_size": 9,
    "stem_channels": 4,
    "out_channels": [4, 6],
    "num_block_repeats": [1, 2],
    "kernel_sizes": [3, 5],
    "strides": [1, 2],
    "expand_ratios": [1, 2],
    "hidden_dim": 8,
    "batch_norm_eps": 0.001,
}
PIXELS = torch.randint(0, 256, (2, 9, 7, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny network whose normalisations all matter."""
    network = ImageFeatures(Shape.of(CONFIG))
    rng = torch.Generator().manual_seed(1)
    weights = {
        name: torch.rand(values.shape, generator=rng) + 0.2
        if name.endswith(("running_var", "norm.weight"))
        else torch.randn(values.shape, generator=rng) * 0.7
        for name, values in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    weights |= {name: torch.tensor(1) for name in network.state_dict() if name.endswith("num_batches_tracked")}
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def embedded(folder: Path, dtype: str = "float32", pixels: torch.Tensor = PIXELS) -> torch.Tensor:
    return load_image_tower(folder, dtype=dtype, device="cpu", use_cls_token=True).embed(pixels)


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "before_and_after"),
    [
        (224, 3, 2, (0, 1)),
        (5, 3, 2, (1, 1)),
        (7, 5, 1, (2, 2)),
        (8, 5, 2, (1, 2)),
        (9, 5, 2, (2, 2)),
        (7, 1, 1, (0, 0)),
    ],
)
def test_sides_are_padded_as_tensorflow_pads_them(length, kernel, stride, before_and_after):
    assert same_padding(length, kernel, stride) == before_and_after


def layer(x: Any, weights: dict[str, Any], name: str, *, stride: int = 1, relu: bool = True) -> Any:
    """One convolution of (channels, height, width), its normalisation and its bound of 0 to 6, place by place."""
    kernels = weights[f"{name}.conv.weight"]
    out, per_group, size, _ = kernels.shape
    rows, columns = (-(-side // stride) for side in x.shape[1:])
    top, left = (
        max((places - 1) * stride + size - side, 0) // 2
        for places, side in zip((rows, columns), x.shape[1:], strict=True)
    )
    room = np.zeros((x.shape[0], x.shape[1] + 2 * size, x.shape[2] + 2 * size))
    room[:, top : top + x.shape[1], left : left + x.shape[2]] = x
    found = np.zeros((out, rows, columns))
    for channel in range(out):
        first = channel if per_group == 1 and x.shape[0] == out else 0
        for row in range(rows):
            for column in range(columns):
                y, z = row * stride, column * stride
                found[channel, row, column] = (
                    room[first : first + per_group, y : y + size, z : z + size] * kernels[channel]
                ).sum()
    mean, variance, factor, shift = (
        weights[f"{name}.norm.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    found = (found - mean) / np.sqrt(variance + 0.001) * factor + shift
    return np.clip(found, 0, 6) if relu else found


def written_out(picture: torch.Tensor, weights: dict[str, Any]) -> Any:
    x = layer((picture.numpy().transpose(2, 0, 1) - 127.0) / 128.0, weights, "stem", stride=2)
    x = layer(layer(x, weights, "blocks.0.depthwise"), weights, "blocks.0.project", relu=False) + x
    for block, stride in ((1, 2), (2, 1)):
        inner = layer(x, weights, f"blocks.{block}.expand.0")
        inner = layer(inner, weights, f"blocks.{block}.depthwise", stride=stride)
        changed = layer(inner, weights, f"blocks.{block}.project", relu=False)
        x = x + changed if block == 2 else changed
    features = layer(x, weights, "head").mean(axis=(1, 2))
    return features / np.linalg.norm(features)


def test_vectors_are_those_of_the_network_written_out(folder):
    weights = {name: values.double().numpy() for name, values in load_file(folder / "model.safetensors").items()}
    wanted = np.stack([written_out(picture, weights) for picture in PIXELS])
    found = embedded(folder)
    assert np.allclose(found.numpy(), wanted, atol=1e-5)
    assert float(found[0] @ found[1]) < 0.9999


def test_half_precision_stays_close(folder):
    assert float((embedded(folder) * embedded(folder, "bfloat16")).sum(dim=1).min()) >= 0.999


def test_other_sizes_and_a_single_graph(folder):
    tower = load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)
    larger = PIXELS.repeat(1, 2, 3, 1)
    assert tower.embed(larger).shape == (2, 8)
    compiled = torch.compile(tower.network, backend="eager", fullgraph=True)
    with torch.inference_mode():
        assert torch.allclose(compiled(PIXELS), tower.network(PIXELS), atol=1e-6)


def test_the_description_tells_length_size_and_normalisation(folder):
    found = describe(folder)
    assert (found.family, found.dimensions, found.size) == ("efficientnet_lite", 8, (9, 9))
    assert [round((value * found.scale - found.mean[0]) / found.std[0], 6) for value in (127, 255)] == [0.0, 1.0]


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_dim": 16},
        {"strides": [1]},
        {"strides": [1, 0]},
        {"kernel_sizes": "33"},
        {"out_channels": 4},
        {"num_block_repeats": [1, 10**9]},
        {"batch_norm_eps": "x"},
    ],
)
def test_a_config_that_does_not_fit_is_told_in_one_line(folder, change):
    (folder / "config.json").write_text(json.dumps(CONFIG | change))
    with pytest.raises(UserError, match=r"^model \S+ does not load: [^\n]+$"):
        embedded(folder)


def test_a_config_that_leaves_something_out_is_told(folder):
    (folder / "config.json").write_text(json.dumps({name: CONFIG[name] for name in CONFIG if name != "strides"}))
    with pytest.raises(UserError, match="states no strides"):
        embedded(folder)


def test_weights_that_are_not_complete_are_told(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["blocks.1.depthwise.conv.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"does not load: [^\n]*blocks\.1\.depthwise\.conv\.weight"):
        embedded(folder)


def test_cut_weights_are_told(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="does not load"):
        embedded(folder)


def test_a_config_of_far_more_blocks_than_there_are_weights_for_is_told_before_they_are_made(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"num_block_repeats": [2**16, 2**16]}))
    with pytest.raises(UserError, match="modules, which its weights do not fit"):
        embedded(folder)
