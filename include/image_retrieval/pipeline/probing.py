"""Finds the probes of a collection's model, and makes those of a collection that no shard has left any for.

Its vectors may have come through the API, by an import, or from an earlier version.
"""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.batches import in_batches
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.logs import reason
from image_retrieval.models.description import describe
from image_retrieval.models.digest import require_digest
from image_retrieval.models.phrases import phrases_version
from image_retrieval.models.probes import (
    COPIES,
    SAMPLE,
    EmbedPixels,
    EmbedTexts,
    Pixels,
    Probes,
    make_probes,
    make_text_probes,
    read_probes,
    write_probes,
)
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectFault, ObjectStore
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.settings import Settings
from image_retrieval.shards import probes_uri
from image_retrieval.store import calibrations
from image_retrieval.store.connection import connect

log = structlog.get_logger()
Vectors = NDArray[np.float32]


def find_probes(collection: Collection, family: str, digest: str | None, settings: Settings) -> Probes | None:
    """The probes of the collection's model, or None if there are none of these model files and phrases.

    Where the model runs in the same place as this process (RUNNER=local), it is asked if there are none. What goes
    wrong with that is one line in the log.
    """
    store, uri = ObjectStore(settings), uri_of(collection, settings)
    probes = _usable(read_probes(store, uri), digest)
    if probes is None and settings.runner == "local":
        try:
            probe_here = _probe_texts_here if family == "text_encoder" else _probe_here
            probe_here(collection, digest, settings)
        except Exception as error:  # no torch, a model that does not load
            log.warning("the model was not probed", output=uri, reason=reason(error))
        probes = _usable(read_probes(store, uri), digest)
    return probes


def uri_of(collection: Collection, settings: Settings) -> str:
    """Where the probes of the collection's model lie."""
    return probes_uri(settings.work_uri, collection.name, collection.model.name)


def _usable(probes: Probes | None, digest: str | None) -> Probes | None:
    """The probes, if they are of these model files and of the present phrases."""
    if probes is None or probes.phrases != phrases_version() or digest not in (None, probes.digest):
        return None
    return probes


def _probe_here(collection: Collection, digest: str | None, settings: Settings) -> None:
    import torch

    from image_retrieval.models.towers import image_tower

    model = collection.model
    tower = image_tower(model, settings, settings.device)
    require_digest(tower.digest, digest, model.source)

    def embed(pixels: Pixels) -> Vectors:
        batches = in_batches(torch.from_numpy(pixels), model.batch_size)
        vectors: Vectors = torch.cat([tower.embed(torch.stack(batch)) for batch in batches]).numpy()
        return vectors

    probe(collection, tower.digest, tower.size, embed, _texts_here(model, settings), settings)


def _probe_texts_here(collection: Collection, digest: str | None, settings: Settings) -> None:
    """Write the probes of a model that reads texts only."""
    from image_retrieval.models.towers import text_tower

    tower = text_tower(collection.model, settings, settings.device)
    require_digest(tower.digest, digest, collection.model.source)
    store, uri = ObjectStore(settings), uri_of(collection, settings)
    with connect(settings) as connection:
        require_own(connection, work_place(settings), store)
    write_probes(store, uri, make_text_probes(tower.digest, lambda texts: tower.embed(texts).numpy()))
    log.info("probed the model", output=uri)


def _texts_here(model: ModelOptions, settings: Settings) -> EmbedTexts | None:
    """The text side of a model, or None if it has none that works."""
    from image_retrieval.models.towers import text_tower

    if describe(model_folder(model.source, model.revision, settings)).family != "dual_encoder":
        return None
    try:
        side = text_tower(model, settings, settings.device)
    except UserError as error:  # without a tokenizer, for example
        log.warning("the model is probed without texts", reason=str(error))
        return None
    return lambda texts: side.embed(texts).numpy()


def probe(
    collection: Collection,
    digest: str,
    size: tuple[int, int],
    embed: EmbedPixels,
    texts: EmbedTexts | None,
    settings: Settings,
) -> None:
    """Write the probes of the collection's model, from stored vectors and kept pictures.

    `size`: the width and height that the model reads.
    """
    store = ObjectStore(settings)
    with connect(settings) as connection:
        require_own(connection, work_place(settings), store)
        total = calibrations.count_vectors(connection, collection.space, None).vectors
    vectors, uris = sample_of(collection, total, settings)
    read = _reader(store, collection.resample.target_size or size)
    kept = [(at, uri) for at, uri in enumerate(uris) if uri][:COPIES]
    pictures = {at: pixels for at, uri in kept if (pixels := read(uri)) is not None}
    pixels = np.stack([*pictures.values()]) if pictures else np.empty((0, 1, 1, 3), np.uint8)
    probes = make_probes(digest, pixels, vectors[[*pictures]], vectors, embed, texts)
    sought = min(COPIES, len(vectors))  # not again for those that are not kept
    write_probes(store, uri_of(collection, settings), replace(probes, sought=sought))
    log.info("probed the model", output=uri_of(collection, settings), copies=len(probes.copies))


def sample_of(collection: Collection, total: int, settings: Settings) -> tuple[Vectors, list[str | None]]:
    """Some of a collection's `total` vectors (images, dimensions), each of length 1, and where their pictures lie."""
    with connect(settings) as connection:
        rows = calibrations.sample_vectors(connection, collection.space, total, SAMPLE)
    vectors = np.array([row.embedding.to_list() for row in rows], np.float32, ndmin=2)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)  # halves round
    return vectors, [row.resampled_uri for row in rows]


def _reader(store: ObjectStore, size: tuple[int, int]) -> Callable[[str], Pixels | None]:
    """Reads a kept picture at a width and height; None if it cannot be read."""

    def read(uri: str) -> Pixels | None:
        try:
            picture = Image.open(BytesIO(store.read(uri))).convert("RGB")
        except (ObjectFault, OSError, ValueError, Image.DecompressionBombError):
            return None
        return np.asarray(picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC))

    return read
