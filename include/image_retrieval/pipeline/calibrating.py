"""Calibrating: fits the scores of searches on a collection's own vectors, for models that bring no calibration."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.batches import in_batches
from image_retrieval.collection import Collection
from image_retrieval.models.calibration import DIRECTIONS, IMAGES, Calibration, calibration_of, usable_calibrations
from image_retrieval.models.chance import (
    LEAST_VECTORS,
    RATE,
    Cosines,
    NotFitted,
    fit_images,
    fit_texts,
    random_pairs,
)
from image_retrieval.models.digest import require_digest
from image_retrieval.models.phrases import describing, naming, phrases_of, phrases_version
from image_retrieval.objects import ObjectFault, ObjectStore
from image_retrieval.pipeline.altering import altered
from image_retrieval.settings import Settings
from image_retrieval.store import calibrations, models
from image_retrieval.store.calibrations import Fit
from image_retrieval.store.connection import Connection, connect

if TYPE_CHECKING:
    from image_retrieval.models.towers import ImageTower, TextTower

SAMPLE = 1_000  # vectors that are compared
COPIES = 64  # altered copies of pictures that are embedded
DESCRIBED = 16  # things that pictures show most often, of which phrases tell counts and colours
BATCH = 16
SECONDS = 30.0  # after which no further batch of copies or of a list of phrases is embedded
GROWN, SHRUNK = 1.5, 0.5  # sizes, in those at the last fit, from which a collection has changed much

log = structlog.get_logger()
Item = TypeVar("Item")
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Some of a collection's vectors (images, dimensions), each of length 1, and its pictures that are kept.

    `total`: the number of its vectors; `digest`: that of the model files that made them, if known.
    """

    collection: Collection
    vectors: NDArray[np.float32]
    pictures: tuple[str | None, ...]
    total: int
    digest: str | None


def keep_calibrated(collection: Collection, settings: Settings) -> dict[str, str]:
    """Fit the scores of the collection under its model, if they are not or it has changed much since.

    A direction that the model's calibration.json has is left alone. Returns for each direction that was due what became
    of it, in words. An Exception is logged, never raised: a collection without a calibration shows plain similarities.
    """
    fits: list[Fit] = []
    with _logged(collection):
        sample, due = _find_due(collection, settings)
        for direction in due:
            with _logged(collection, direction=direction):
                fits.append(_fit(direction, sample, settings))
                with connect(settings) as connection:
                    calibrations.keep_fit(connection, collection.space, fits[-1])
    return {fit.direction: fit.reason or f"cutoff at cosine {fit.middle:.3f}" for fit in fits}


@contextmanager
def _logged(collection: Collection, **more: str) -> Iterator[None]:
    """Log an Exception instead of raising it: a model that does not load, a database that does not answer."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        log.warning("the scores were not fitted", model=collection.model.name, **more, reason=reason)


def _find_due(collection: Collection, settings: Settings) -> tuple[_Sample, list[str]]:
    """The directions to fit, and the sample to fit them on, which is empty if there are none."""
    with connect(settings) as connection:
        total = calibrations.count_vectors(connection, collection.space)
        due = _due(connection, collection, total)
        if due and total < LEAST_VECTORS:
            calibrations.remove_fits(connection, collection.space)
            log.info("the scores are not fitted: too few images", images=total, needed=LEAST_VECTORS)
            due = []
        return _sample(connection, collection, total, SAMPLE if due else 0), due


def _due(connection: Connection, collection: Collection, total: int) -> list[str]:
    """The directions that the model supports, brings no calibration for, and has none of this size for."""
    model = models.find_model(connection, collection.model.name)
    if model is None or collection.distance == "l2":  # whose similarities are no cosines
        return []
    own = usable_calibrations(calibrations.own_calibration(connection, model.name))
    known = calibrations.find_fits(connection, collection.space)
    supported = DIRECTIONS if model.family == "dual_encoder" else (IMAGES,)
    version = phrases_version()

    def is_due(direction: str) -> bool:
        fit = known.get(direction)
        if fit is None or (direction != IMAGES and fit.phrases != version):
            return True
        return not SHRUNK * fit.vectors < total < GROWN * fit.vectors

    return [direction for direction in supported if not calibration_of(own, direction) and is_due(direction)]


def _sample(connection: Connection, collection: Collection, total: int, count: int) -> _Sample:
    rows = calibrations.sample_vectors(connection, collection.space, count)
    vectors = np.array([row.embedding.to_list() for row in rows], np.float32, ndmin=2)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)  # halves round
    pictures = tuple(row.resampled_image_path for row in rows)
    return _Sample(collection, vectors, pictures, total, models.known_digest(connection, collection.model.name))


def _fit(direction: str, sample: _Sample, settings: Settings) -> Fit:
    started = time.monotonic()
    found: Calibration | None = None
    reason, probes = None, 0
    try:
        if direction == IMAGES:
            copies = _copies(sample, settings)
            probes = len(copies)
            found = fit_images(random_pairs(sample.vectors), copies, sample.total)
        else:
            found, probes = _fit_texts(direction, sample, settings)
    except NotFitted as error:
        reason = str(error)
    fit = Fit(
        direction,
        slope=found.slope if found else None,
        middle=found.middle if found else None,
        reason=reason,
        rate=RATE,
        vectors=sample.total,
        sampled=len(sample.vectors),
        probes=probes,
        phrases=None if direction == IMAGES else phrases_version(),
    )
    log.info("fitted the scores", **asdict(fit), seconds=round(time.monotonic() - started, 2))
    return fit


def _fit_texts(direction: str, sample: _Sample, settings: Settings) -> tuple[Calibration, int]:
    from image_retrieval.models.towers import text_tower

    tower = text_tower(sample.collection.model, settings, _device(settings))
    _require_digest(tower, sample)
    language = direction.removeprefix("text_image_")
    return fit_phrases(language, lambda texts: tower.embed(texts).numpy(), sample.vectors, sample.total)


def fit_phrases(
    language: str, embed: Callable[[Sequence[str]], Vector], vectors: Vector, total: int
) -> tuple[Calibration, int]:
    """Fit searches by texts of a language on some of a collection's `total` vectors, each of length 1.

    Returns the calibration, and the number of phrases about nothing that it was fitted to. Raises NotFitted.
    """

    def cosines(phrases: Sequence[str]) -> Cosines:
        """Phrases (rows) with the vectors (columns)."""
        return np.concatenate([embed(part) @ vectors.T for part in _in_time(phrases)]).astype(np.float64)

    best = cosines(phrases_of(language).about_nothing).max(axis=1)
    things = cosines(naming(language))
    named, counts = things.max(axis=0), np.bincount(things.argmax(axis=0))
    most = [int(thing) for thing in np.argsort(-counts)[:DESCRIBED] if counts[thing]]
    named = np.maximum(named, cosines(describing(language, most)).max(axis=0))
    return fit_texts(best, named, total, len(vectors)), len(best)


def _copies(sample: _Sample, settings: Settings) -> Cosines:
    """The cosines of altered copies of kept pictures with the pictures' vectors; none if no picture can be read."""
    chosen = [(at, uri) for at, uri in enumerate(sample.pictures) if uri is not None][:COPIES]
    if not chosen:
        return np.empty(0)
    import torch

    from image_retrieval.models.towers import image_tower

    tower = image_tower(sample.collection.model, settings, _device(settings))
    _require_digest(tower, sample)
    size, store, rng = sample.collection.resample.target_size or tower.size, ObjectStore(settings), random.Random()
    cosines: list[float] = []
    for part in _in_time(chosen):
        pictures = {at: picture for at, uri in part if (picture := _picture(uri, size, store)) is not None}
        if pictures:
            pixels = np.stack([np.asarray(altered(picture, rng)) for picture in pictures.values()])
            vectors = tower.embed(torch.from_numpy(pixels)).numpy()
            cosines += (vectors * sample.vectors[list(pictures)]).sum(axis=1).tolist()
    return np.array(cosines)


def _picture(uri: str, size: tuple[int, int], store: ObjectStore) -> Image.Image | None:
    """A kept picture at the size that the model reads, or None if it cannot be read."""
    try:
        picture = Image.open(BytesIO(store.read(uri))).convert("RGB")
    except (ObjectFault, OSError, ValueError, Image.DecompressionBombError):
        return None
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def _require_digest(tower: "ImageTower | TextTower", sample: _Sample) -> None:
    require_digest(tower.digest, sample.digest, sample.collection.model.source)


def _device(settings: Settings) -> str:
    """Where the model runs: a worker whose pods embed need not have a GPU."""
    return settings.device if settings.runner == "local" else "cpu"


def _in_time(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Batches of the items, until SECONDS have passed."""
    end = time.monotonic() + SECONDS
    for batch in in_batches(items, BATCH):
        if time.monotonic() > end:
            return
        yield batch
