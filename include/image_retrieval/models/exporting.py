"""Writes the towers of a model from anywhere into a folder, for programs other than this one."""

import re
import tempfile
from pathlib import Path

from image_retrieval.collection import NAME_PATTERN
from image_retrieval.errors import UserError
from image_retrieval.models.adding import models_folder
from image_retrieval.models.description import describe
from image_retrieval.models.onnx import TEXTS, export_images, export_texts
from image_retrieval.models.source import model_folder
from image_retrieval.models.towers import load_image_tower, load_text_tower
from image_retrieval.settings import Settings


def export_model(
    source: str, target: Path, settings: Settings, *, revision: str | None = None, use_cls_token: bool = True
) -> list[Path]:
    """Write a model's towers as ONNX in float32; return the files: `images.onnx`, and `texts.onnx` if it reads them.

    `source` may be the name of a model that `models add` wrote. Files of these names are replaced, once all are
    written, and a former `texts.onnx` is removed if the model reads none. Raises UserError.
    """
    if re.fullmatch(NAME_PATTERN, source) and not Path(settings.home, source).is_dir():
        source = models_folder(source, settings)
    folder = model_folder(source, revision, settings)
    family = describe(folder).family
    images = load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=use_cls_token)
    texts = load_text_tower(folder, dtype="float32", device="cpu") if family == "dual_encoder" else None
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".exporting-") as scratch:
            made = [export_images(images, Path(scratch))]
            if texts:
                made.append(export_texts(texts, Path(scratch)))
            for path in sorted(Path(scratch).iterdir(), key=lambda path: path in made):  # a large one's weights first
                path.replace(target / path.name)
            if not texts:  # those of another model would be taken for this one's
                for stale in target.glob(f"{TEXTS}*"):
                    stale.unlink()
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}") from None
    return [target / path.name for path in made]
