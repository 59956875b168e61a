"""Calibrating: fits the scores of searches on a collection's own vectors, for models that bring no calibration.

It needs the stored vectors and the probes of the model (models/probes.py), but not the model, so it runs where no torch
is installed.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from image_retrieval.collection import Collection
from image_retrieval.logs import reason
from image_retrieval.models.calibration import IMAGES, Calibration, calibration_of, directions_of, usable_calibrations
from image_retrieval.models.chance import (
    LEAST_COPIES,
    LEAST_VECTORS,
    RATE,
    NotFitted,
    fit_images,
    fit_texts,
    random_pairs,
)
from image_retrieval.models.phrases import phrases_version
from image_retrieval.models.probes import LANGUAGES, Probes, Texts
from image_retrieval.pipeline.probing import find_probes, sample_of
from image_retrieval.settings import Settings
from image_retrieval.store import calibrations, models
from image_retrieval.store.calibrations import Fit, KnownFit
from image_retrieval.store.connection import connect

GROWN, SHRUNK = 1.5, 0.5  # sizes, in those at the last fit, from which a collection has changed much
REPLACED = 0.5  # share of images that were changed or embedded anew since, from which it has, too

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _State:
    """The directions that the model brings no calibration for, what is known of them, and the collection's vectors.

    `family`: of the model. `digest`: of the model files that made them, if known. `replaced`: many were changed or
    embedded anew since.
    """

    directions: tuple[str, ...]
    known: dict[str, KnownFit]
    total: int
    replaced: bool
    family: str
    digest: str | None

    def due(self, copies: int, languages: Iterable[str]) -> list[str]:
        """The directions to fit with probes of so many copies and of phrases in these languages.

        A direction of texts needs phrases; that of pictures is better with copies.
        """
        return [direction for direction in self.directions if self._is_due(direction, copies, languages)]

    def _is_due(self, direction: str, copies: int, languages: Iterable[str]) -> bool:
        fit = self.known.get(direction)
        changed = fit is None or self.replaced or not SHRUNK * fit.vectors < self.total < GROWN * fit.vectors
        if direction == IMAGES:
            return changed or (fit is not None and fit.probes < LEAST_COPIES <= copies)
        outdated = fit is not None and fit.phrases != phrases_version()
        return _language(direction) in languages and (changed or outdated)


def keep_calibrated(collection: Collection, settings: Settings) -> dict[str, str]:
    """Fit the scores of the collection under its model, if they are not or it has changed much since.

    A direction that the model's calibration.json has is left alone. Returns for each direction that was due what became
    of it, in words. An Exception is logged, never raised: a collection without a calibration shows plain similarities.
    """
    fits: list[Fit] = []
    with _logged(collection):
        state = _find_state(collection, settings)
        if state is None:
            return {}
        due, probes, vectors = _find_due(state, collection, settings)
        for direction in due:
            with _logged(collection, direction=direction):
                fit = _fit(direction, state.total, vectors, probes)
                with connect(settings) as connection:
                    calibrations.keep_fit(connection, collection.space, fit)
                fits.append(fit)
    return {fit.direction: fit.reason or f"cutoff at cosine {fit.middle:.3f}" for fit in fits}


@contextmanager
def _logged(collection: Collection, **more: str) -> Iterator[None]:
    """Log an Exception instead of raising it: a database or a store that does not answer."""
    try:
        yield
    except Exception as error:
        log.warning("the scores were not fitted", model=collection.model.name, **more, reason=reason(error))


def _find_state(collection: Collection, settings: Settings) -> _State | None:
    """What is to be fitted, or None if nothing can be: then nothing is counted."""
    with connect(settings) as connection:
        model = models.find_model(connection, collection.model.name)
        if model is None or collection.distance == "l2":  # whose similarities are no cosines
            return None
        own = usable_calibrations(calibrations.own_calibration(connection, model.name))
        directions = tuple(each for each in directions_of(model.family) if not calibration_of(own, each))
        if not directions:
            return None
        known = calibrations.find_fits(connection, collection.space)
        since = min((fit.fitted_at for fit in known.values()), default=None)
        count = calibrations.count_vectors(connection, collection.space, since)
        if count.vectors < LEAST_VECTORS:
            calibrations.remove_fits(connection, collection.space)
            log.info("the scores are not fitted: too few images", images=count.vectors, needed=LEAST_VECTORS)
            return None
        told = calibrations.count_told(connection, collection.name, since) if model.family == "text_encoder" else 0
        replaced = max(count.changed, told) > REPLACED * count.vectors
        return _State(directions, known, count.vectors, replaced, model.family, model.digest)


def _find_due(
    state: _State, collection: Collection, settings: Settings
) -> tuple[list[str], Probes | None, NDArray[np.float32]]:
    """The directions to fit, the probes of the model, and the vectors (images, dimensions) to compare them with."""
    none = np.empty((0, 1), np.float32)
    if not state.due(LEAST_COPIES, LANGUAGES):
        return [], None, none
    probes = find_probes(collection, state.family, state.digest, settings)
    due = state.due(len(probes.copies) if probes else 0, probes.texts if probes else ())
    waiting = {direction for direction in state.directions if direction not in state.known} - {*due}
    if waiting:
        why = "its probes hold no phrases" if probes else "it is not probed yet; the next shard that is embedded does"
        log.info(f"the scores of texts are not fitted: {why}", model=collection.model.name, directions=sorted(waiting))
    return due, probes, sample_of(collection, state.total, settings)[0] if due else none


def _fit(direction: str, total: int, vectors: NDArray[np.float32], probes: Probes | None) -> Fit:
    started = time.monotonic()
    found: Calibration | None = None
    reason = None
    copies = probes.copies if probes else np.empty(0)
    texts = None if direction == IMAGES or probes is None else probes.texts[_language(direction)]
    try:
        found = (
            fit_images(random_pairs(vectors), copies, total) if texts is None else fit_phrases(texts, vectors, total)
        )
    except NotFitted as error:
        reason = str(error)
    fit = Fit(
        direction,
        slope=found.slope if found else None,
        middle=found.middle if found else None,
        reason=reason,
        rate=RATE,
        vectors=total,
        sampled=len(vectors),
        probes=len(copies) if texts is None else len(texts.about_nothing),
        phrases=None if texts is None else phrases_version(),
    )
    log.info("fitted the scores", **asdict(fit), seconds=round(time.monotonic() - started, 2))
    return fit


def fit_phrases(texts: Texts, vectors: NDArray[np.float32], total: int) -> Calibration:
    """Fit searches by texts of a language on some of a collection's `total` vectors, each of length 1.

    Raises NotFitted.
    """
    best = (texts.about_nothing @ vectors.T).max(axis=1).astype(np.float64)
    named = (texts.named @ vectors.T).max(axis=0).astype(np.float64)
    return fit_texts(best, named, total, len(vectors))


def _language(direction: str) -> str:
    return direction.removeprefix("text_image_")
