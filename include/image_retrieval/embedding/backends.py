"""Runs a model's network with plain torch, compiled torch or OpenVINO, by the setting `backend`."""

import os
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.engine import Engine, Network
from image_retrieval.errors import UserError
from image_retrieval.models.towers import ImageTower, image_tower
from image_retrieval.private import open_private_folder
from image_retrieval.settings import Settings

if TYPE_CHECKING:
    from openvino import CompiledModel

COMPILED = "TORCHINDUCTOR_CACHE_DIR"  # torch's own variable
HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


@cache
def load_engine(model: ModelOptions, settings: Settings, device: str) -> Engine:
    """The engine of a collection's model, which is fetched and loaded once per process."""
    match settings.backend:
        case "torch":
            return Engine(image_tower(model, settings, device), model.batch_size)
        case "compile":
            keep_compiled_private()
            tower = image_tower(model, settings, device)
            return Engine(tower, model.batch_size, torch.compile(tower.network, dynamic=False), fixed=True)
        case "openvino":
            # in float32; OpenVINO itself converts to the dtype
            tower = image_tower(model.model_copy(update={"dtype": "float32"}), settings, device)
            return Engine(tower, model.batch_size, openvino_network(tower, model.dtype), fixed=True)


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
    try:
        import openvino
    except ImportError:
        raise UserError("backend 'openvino' needs a package that is not installed: pip install openvino") from None
    if tower.device.type != "cpu":
        raise UserError(f"backend 'openvino' runs on the CPU only, not on {tower.device}: use torch or compile there")

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
