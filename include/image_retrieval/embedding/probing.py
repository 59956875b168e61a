"""Leaves the probes of a model beside the shards that it embeds, while it is loaded."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import structlog
import torch

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.engine import Embedded, Engine, Vectors
from image_retrieval.embedding.reader import Batch
from image_retrieval.errors import UserError
from image_retrieval.logs import reason
from image_retrieval.models.calibration import calibration_of, directions_of
from image_retrieval.models.description import describe
from image_retrieval.models.digest import require_digest
from image_retrieval.models.probes import (
    COPIES,
    SAMPLE,
    EmbedTexts,
    Pixels,
    are_due,
    make_probes,
    make_text_probes,
    write_probes,
)
from image_retrieval.models.source import model_folder
from image_retrieval.models.towers import TextTower, load_text_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings

log = structlog.get_logger()


class Sampler:
    """Keeps some pictures and vectors of a shard of so many pictures, spread over it, as they pass."""

    def __init__(self, images: int) -> None:
        self._images = images
        self._pixels: dict[int, Pixels] = {}
        self._vectors: dict[int, Vectors] = {}

    def pictures(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches."""
        first = 0
        for batch in batches:
            for at in self._chosen(first, len(batch.pixels), COPIES):
                self._pixels[at] = batch.pixels[at - first].numpy().copy()  # the batch's memory is used again
            first += len(batch.pixels)
            yield batch

    def vectors(self, embedded: Iterable[Embedded]) -> Iterator[Embedded]:
        """The same vectors, of all those batches in their order."""
        first = 0
        for batch in embedded:
            chosen = [self._chosen(first, len(batch.vectors), sample) for sample in (COPIES, SAMPLE)]
            for at in {*chosen[0], *chosen[1]}:
                if batch.reasons[at - first] is None:
                    self._vectors[at] = batch.vectors[at - first].copy()
            first += len(batch.vectors)
            yield batch

    def _chosen(self, first: int, count: int, sample: int) -> list[int]:
        """The rows from `first` on, of `count`, that belong to a sample of this size: every so many-th of the shard."""
        rows = np.arange(first, first + count)
        chosen: list[int] = rows[rows * sample % self._images < sample].tolist()
        return chosen

    def kept(self) -> tuple[Pixels, Vectors, Vectors]:
        """Pictures (pictures, height, width, 3), their vectors, and all kept vectors."""
        both = [at for at in self._pixels if at in self._vectors]
        if not both:
            return np.empty((0, 1, 1, 3), np.uint8), np.empty((0, 1), np.float32), np.empty((0, 1), np.float32)
        pixels = np.stack([self._pixels[at] for at in both])
        return pixels, np.stack([self._vectors[at] for at in both]), np.stack([*self._vectors.values()])


def leave_probes(
    uri: str, sampler: Sampler, engine: Engine, model: ModelOptions, store: ObjectStore, settings: Settings
) -> None:
    """Write the probes of the engine's model, if they are due, and it does not bring its calibration.

    An Exception is one line in the log.
    """
    try:
        folder = model_folder(model.source, model.revision, settings, weights=False)
        description = describe(folder)
        if all(calibration_of(description.calibration, each) for each in directions_of(description.family)):
            return
        pixels, of_pictures, vectors = sampler.kept()
        if not len(pixels) or not are_due(store, uri, engine.tower.digest, len(pixels), in_hand=True):
            return
        texts = _texts(engine, model, settings) if description.family == "dual_encoder" else None
        probes = make_probes(
            engine.tower.digest, pixels, of_pictures, vectors, lambda given: _embedded(engine, given), texts
        )
        write_probes(store, uri, probes)
        phrases = sum(len(found.about_nothing) + len(found.named) for found in probes.texts.values())
        log.info("probed the model", output=uri, copies=len(probes.copies), phrases=phrases)
    except Exception as error:
        log.warning("the model was not probed", output=uri, reason=reason(error))


def leave_text_probes(uri: str, tower: TextTower, store: ObjectStore) -> None:
    """Write the probes of a text encoder, if they are due. An Exception is one line in the log."""
    try:
        if are_due(store, uri, tower.digest, 0, in_hand=True):
            write_probes(store, uri, make_text_probes(tower.digest, lambda texts: tower.embed(texts).numpy()))
            log.info("probed the model", output=uri)
    except Exception as error:
        log.warning("the model was not probed", output=uri, reason=reason(error))


def _embedded(engine: Engine, pixels: Pixels) -> Vectors:
    """Their vectors; NaN where the model failed."""
    batches = (
        Batch(pa.array(range(start, start + len(part))), torch.from_numpy(part))
        for start in range(0, len(pixels), engine.size)
        for part in [pixels[start : start + engine.size]]
    )
    return np.concatenate([found.vectors for found in engine.embed(batches)])


def _texts(engine: Engine, model: ModelOptions, settings: Settings) -> EmbedTexts | None:
    """The text side of a model, loaded for these phrases only, or None if it does not load."""
    folder = model_folder(model.source, model.revision, settings)
    try:
        tower = load_text_tower(folder, dtype=model.dtype, device=str(engine.tower.device))
        require_digest(tower.digest, engine.tower.digest, model.source)
    except UserError as error:  # without a tokenizer, for example
        log.warning("the model is probed without texts", reason=str(error))
        return None
    return lambda texts: tower.embed(texts).numpy()
