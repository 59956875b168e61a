"""A collection as searches see it: its definition, and the model whose vectors its view shows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from image_retrieval.collection import Collection, Dtype, ModelOptions, load_collections
from image_retrieval.models.calibration import (
    DIRECTIONS,
    Calibration,
    calibration_of,
    directions_of,
    usable_calibrations,
)
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.settings import Settings
from image_retrieval.store import collections
from image_retrieval.store.collections import ShownRow, has_captions
from image_retrieval.store.connection import Connection

TextMode = Literal["vector", "words", "caption", "hybrid"]  # what texts are compared with


@dataclass(frozen=True, slots=True)
class ScoreOrigin:
    """Where the calibration of a direction comes from: the model's own, or fitted on the collection.

    Of a fitted one: its date, the number of vectors that the collection had, and how many of them and how many altered
    copies or phrases were compared.
    """

    direction: str
    origin: Literal["own", "fitted"]
    fitted_at: datetime | None = None
    vectors: int | None = None
    sampled: int | None = None
    probes: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A collection that has a view, and the model whose vectors that view shows.

    `made`: through the API. `listed`: in collections.yaml. A collection that is neither can be searched, but not
    changed.
    """

    collection: Collection
    model: ModelOptions
    family: str
    dimensions: int
    digest: str | None
    calibrations: dict[str, Any] | None
    made: bool
    listed: bool
    unread: tuple[str, ...] = ()  # keys of its definition that this version does not know
    scores: tuple[ScoreOrigin, ...] = ()
    text_model: ShownRow | None = None  # of the vectors of its captions

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.collection.name

    @property
    def reads_texts(self) -> bool:
        """Whether its model has a text side."""
        return self.family in ("dual_encoder", "text_encoder")

    def by_captions(self) -> "Shown | None":
        """The same collection as its captions are searched: under their model; None if they have no vectors."""
        found = self.text_model
        if found is None:
            return None
        listed = self.collection.text_model
        model = listed if listed and listed.name == found.model else _options(found, found.dtype or "float32")
        calibrations, scores = _calibrations(usable_calibrations(found.calibration), usable_calibrations(found.fitted))
        return replace(
            self,
            collection=self.collection.model_copy(update={"model": model}),
            model=model,
            family=found.family,
            dimensions=found.dimensions,
            digest=found.digest,
            calibrations=calibrations,
            scores=scores,
        )

    @property
    def caption_scores(self) -> tuple[ScoreOrigin, ...]:
        """Where the scores of searches by the meaning of captions come from; empty if they are plain similarities."""
        captions = self.by_captions()
        return captions.scores if captions else ()

    @property
    def brings_calibrations(self) -> bool:
        """Whether its model brings the calibrations of all its directions."""
        own = {score.direction for score in self.scores if score.origin == "own"}
        return own.issuperset(directions_of(self.family))

    def calibration(self, direction: str | None) -> Calibration | None:
        """The calibration for a direction, or None if there is none."""
        return calibration_of(self.calibrations, direction)


def listed_collections(settings: Settings, *, missing_ok: bool = False) -> Mapping[str, Collection]:
    """The collections of collections.yaml, which is read again if it has changed. Raises UserError.

    `missing_ok`: a missing file counts as empty.
    """
    path = settings.collections_path
    if missing_ok and not path.exists():
        return {}
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    return _load(path, changed)


@lru_cache(maxsize=4)
def _load(path: Path, changed: int) -> dict[str, Collection]:  # noqa: ARG001
    return load_collections(path)


def find_shown(
    connection: Connection, settings: Settings, name: str, *, missing_ok: bool = False, model: str | None = None
) -> Shown | None:
    """A collection that can be searched, or None if there is none of that name. Raises UserError.

    `missing_ok`: collections.yaml may be missing. `model`: one under which it has vectors; default: the shown one.
    """
    row = collections.find_shown(connection, name, model)
    if row is None:
        return None
    made = collections.made_collection(connection, name)  # before the file: a later entry takes nothing over
    listed = None if made else listed_collections(settings, missing_ok=missing_ok).get(name)
    options = _options(row, row.dtype or (listed.model.dtype if listed else "float32"))
    if listed and listed.model.name == options.name:  # the process that loads it compares its digest
        moved = {"source": listed.model.source, "revision": listed.model.revision}
        options = options.model_copy(update=moved)
    collection = listed or made or collections.stored_collections(connection)[name]
    calibrations, scores = _calibrations(usable_calibrations(row.calibration), usable_calibrations(row.fitted))
    return Shown(
        collection.model_copy(update={"model": options}),  # collections.yaml may name the next one already
        options,
        row.family,
        row.dimensions,
        row.digest,
        calibrations,
        made=made is not None,
        listed=listed is not None,
        unread=collections.unread_keys(connection, name) if made else (),
        scores=scores,
        text_model=collections.find_shown(connection, name, row.text_model) if row.text_model else None,
    )


def text_modes(connection: Connection, shown: Shown) -> list[TextMode]:
    """The modes in which texts find something."""
    means = shown.text_model is not None
    told = means or has_captions(connection, shown.name)
    can: dict[TextMode, bool] = {"vector": shown.reads_texts, "caption": means, "words": told, "hybrid": told}
    return [mode for mode, possible in can.items() if possible]


def _options(row: ShownRow, dtype: Dtype) -> ModelOptions:
    """A model of the database as an entry of collections.yaml names it: whatever the table holds."""
    return ModelOptions.model_construct(
        name=row.model,
        source=row.model_source,
        revision=row.revision,
        dtype=dtype,
        use_cls_token=row.use_cls_token,
    )


def _calibrations(
    own: dict[str, Any] | None, fitted: dict[str, Any] | None
) -> tuple[dict[str, Any] | None, tuple[ScoreOrigin, ...]]:
    """The calibrations that count, and where each comes from: the model's own come first."""
    found: dict[str, Any] = {}
    origins = []
    for direction in DIRECTIONS:
        if calibration_of(own, direction):
            found[direction] = (own or {})[direction]
            origins.append(ScoreOrigin(direction, "own"))
        elif calibration_of(fitted, direction):
            found[direction] = row = (fitted or {})[direction]
            counts = (row["vectors"], row["sampled"], row["probes"])
            origins.append(ScoreOrigin(direction, "fitted", datetime.fromisoformat(row["fitted_at"]), *counts))
    return found or None, tuple(origins)


def describe_listed(collection: Collection, settings: Settings) -> Shown:
    """An entry of collections.yaml under its own model, for uses that need no stored vectors. Raises UserError."""
    model = collection.model
    described = describe(model_folder(model.source, model.revision, settings, weights=False))
    calibrations, scores = _calibrations(usable_calibrations(described.calibration), None)
    found = described.family, described.dimensions, None, calibrations
    return Shown(collection, model, *found, made=False, listed=True, scores=scores)
