"""Runs a model's network with plain torch, compiled torch, OpenVINO or ONNX Runtime."""

import importlib.util
import os
import shutil
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from image_retrieval.collection import Dtype, ModelOptions
from image_retrieval.embedding.engine import Engine, Network
from image_retrieval.errors import UserError
from image_retrieval.models.onnx import export_images
from image_retrieval.models.towers import ImageTower, image_tower
from image_retrieval.private import open_private_folder
from image_retrieval.settings import Backend, Settings

if TYPE_CHECKING:
    from openvino import CompiledModel

COMPILED = "TORCHINDUCTOR_CACHE_DIR"  # torch's own variable
HINTS = {"auto": "f32", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}
PACKAGES = {"openvino": ("openvino",), "onnx": ("onnx", "onnxruntime", "onnxscript")}  # modules named as their packages


@cache
def load_engine(model: ModelOptions, settings: Settings, device: str) -> Engine:
    """The engine of a collection's model, which is fetched and loaded once per process.

    `auto` begins with torch; embed_shard asks quickest.py whether another backend pays for a shard.
    """
    # OpenVINO itself converts to the dtype
    loaded = model.model_copy(update={"dtype": "float32"}) if settings.backend == "openvino" else model
    tower = image_tower(loaded, settings, device)
    return engine_of(tower, model.batch_size, settings.backend, model.dtype)


def engine_of(tower: ImageTower, size: int, backend: Backend, dtype: Dtype) -> Engine:
    """A tower's engine under a backend, with batches of `size`. Raises UserError where the backend cannot be used."""
    match backend:
        case "compile":
            keep_compiled_private()
            return Engine(tower, size, torch.compile(tower.network, dynamic=False), fixed=True)
        case "openvino":
            return Engine(tower, size, openvino_network(tower, dtype), fixed=True)
        case "onnx":
            return Engine(tower, size, onnx_network(tower, dtype))
        case _:
            return Engine(tower, size)


def installed(backend: Backend) -> bool:
    """Whether the packages of a backend are there, or the compiler."""
    if backend == "compile":
        return shutil.which(os.environ.get("CXX", "g++")) is not None
    return all(importlib.util.find_spec(module) for module in PACKAGES.get(backend, ()))


def keep_compiled_private() -> None:
    """Let torch keep its compiled programs in a folder of this user. Raises UserError.

    By default it uses a known name in the temporary directory, where another user may have put programs.
    """
    shared = Path(tempfile.gettempdir())
    chosen = Path(os.environ.get(COMPILED, shared / "torchinductor_"))  # torch itself sets it when imported
    if chosen.parent == shared and chosen.name.startswith("torchinductor_"):
        folder = shared / f"image-retrieval-compiled-{os.geteuid()}"
        os.close(open_private_folder(folder))
        os.environ[COMPILED] = str(folder)


def openvino_network(tower: ImageTower, dtype: str) -> Network:
    """The tower's network in OpenVINO, converted at the first batch of each shape.

    Raises UserError if the package is missing, or the tower is not on the CPU.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # no reports to its makers
    _require("openvino", tower)
    import openvino

    @cache
    def translated(shape: torch.Size) -> "CompiledModel":
        example = torch.zeros(shape, dtype=torch.uint8)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer warns that shapes become constants, which is intended
            network = openvino.convert_model(tower.network, example_input=example, input=[list(shape)])
        return openvino.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": HINTS[dtype]})

    def run(pixels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(translated(pixels.shape)(pixels.numpy())[0])

    return run


def onnx_network(tower: ImageTower, dtype: str) -> Network:
    """The tower's network in ONNX Runtime, exported at the first batch of each width and height.

    Raises UserError if a package is missing, the tower is not on the CPU, or the dtype is not float32.
    """
    _require("onnx", tower)
    if HINTS[dtype] != "f32":
        raise UserError(f"backend 'onnx' runs in float32 only, not in {dtype}: use torch or openvino for it")
    import onnxruntime

    @cache
    def session(height: int, width: int) -> "onnxruntime.InferenceSession":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        with tempfile.TemporaryDirectory() as folder:  # in a file: beyond 2 GB weights lie beside it
            exported = export_images(tower, Path(folder), (width, height))
            return onnxruntime.InferenceSession(str(exported), options, providers=["CPUExecutionProvider"])

    def run(pixels: torch.Tensor) -> torch.Tensor:
        try:
            found = session(*pixels.shape[1:3]).run(None, {"pixels": pixels.numpy()})
        except Exception as error:  # its errors are of no kind that the engine knows
            raise RuntimeError(str(error)) from error
        return torch.from_numpy(found[0])

    return run


def _require(backend: Backend, tower: ImageTower) -> None:
    missing = " ".join(name for name in PACKAGES[backend] if importlib.util.find_spec(name) is None)
    if missing:
        words = "a package that is" if " " not in missing else "packages that are"
        raise UserError(f"backend {backend!r} needs {words} not installed: pip install {missing}")
    if tower.device.type != "cpu":
        raise UserError(f"backend {backend!r} runs on the CPU only, not on {tower.device}: use torch or compile there")
