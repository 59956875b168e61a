"""Writes a model's towers as ONNX files, which other programs can run."""

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from image_retrieval.errors import UserError
from image_retrieval.models.towers import ImageTower, TextTower

IMAGES, TEXTS = "images.onnx", "texts.onnx"
NEEDED = ("onnx", "onnxscript")  # by torch's exporter
OPSET = 20
EXAMPLE = ("a red circle", "两个红色的圆 and a few more words")


def export_images(tower: ImageTower, folder: Path, size: tuple[int, int] | None = None) -> Path:
    """Write an image tower on the CPU as `images.onnx`, for pictures of one width and height (by default its own).

    Its input `pixels` is uint8 (batch, height, width, 3), its output `vectors` float32 (batch, dimensions), each row of
    length 1; any batch is accepted. Returns the file. Raises UserError where it cannot be written.
    """
    width, height = size or tower.size
    pixels = torch.zeros((2, height, width, 3), dtype=torch.uint8)  # a batch of 1 would become a constant
    return _export(tower.network, (pixels,), ("pixels",), ({0: torch.export.Dim("batch")},), folder / IMAGES)


def export_texts(tower: TextTower, folder: Path) -> Path:
    """Write a text tower on the CPU as `texts.onnx`.

    Its inputs are those of the model's tokenizer, int64 (batch, tokens), its output as that of `export_images`. The
    number of tokens is free where the tokenizer leaves it free. Returns the file. Raises UserError.
    """
    given = tower.tokens(EXAMPLE)
    batch: dict[int, Any] = {0: torch.export.Dim("batch")}
    if tower.tokens(EXAMPLE[:1])["input_ids"].shape[1] != given["input_ids"].shape[1]:
        batch[1] = torch.export.Dim("tokens")
    network = _InOrder(tower.network, tuple(given))
    return _export(network, tuple(given.values()), tuple(given), (tuple(batch for _ in given),), folder / TEXTS)


class _InOrder(torch.nn.Module):
    """A text network that takes its inputs by their order instead of by name."""

    def __init__(self, network: torch.nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.network(**dict(zip(self.names, values, strict=True)))
        return vectors


def _export(
    network: torch.nn.Module, given: tuple[torch.Tensor, ...], names: Sequence[str], shapes: Any, target: Path
) -> Path:
    """Write a network. Raises UserError if a package is missing, or torch cannot express the network in ONNX."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"ONNX files need packages that are not installed: pip install {' '.join(missing)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _quiet(), torch.inference_mode(False), torch.no_grad():
            program = torch.onnx.export(
                network,
                given,
                input_names=names,
                output_names=("vectors",),
                dynamic_shapes=shapes,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
            if program is None:
                raise RuntimeError("torch exported nothing")
            program.save(str(target))
    except Exception as error:  # the exporter has errors of its own for each of its steps
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the network cannot be written as ONNX: {first[:300]}") from None
    return target


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter prints and logs of its steps from the user."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
