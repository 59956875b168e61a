"""Which collections there are: those of collections.yaml, and those that were made through the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from image_retrieval.collection import Collection, ModelOptions, load_collections
from image_retrieval.models.calibration import Calibration, calibration_of, usable_calibrations
from image_retrieval.service.errors import Refused
from image_retrieval.settings import Settings
from image_retrieval.store.collections import (
    find_shown,
    known_collections,
    made_collection,
    made_collections,
    stored_collections,
    unread_keys,
)
from image_retrieval.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Shown:
    """A collection that has a view, and the model whose vectors that view shows.

    `made`: through the API. `listed`: in collections.yaml; one that is neither is searched and not changed.
    """

    collection: Collection
    model: ModelOptions
    family: str
    dimensions: int
    digest: str | None
    calibrations: dict[str, Any] | None
    made: bool
    listed: bool
    unread: tuple[str, ...] = ()  # keys of its definition that this version does not take

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.collection.name

    @property
    def reads_texts(self) -> bool:
        """Whether its model has a text side."""
        return self.family == "dual_encoder"

    def calibration(self, direction: str | None) -> Calibration | None:
        """How a cosine becomes a score in a direction; None where the model does not tell."""
        return calibration_of(self.calibrations, direction)


def listed_collections(settings: Settings) -> Mapping[str, Collection]:
    """Those of collections.yaml, read again where the file has changed. Raises UserError."""
    path = settings.collections_path
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    return _load(path, changed)


@lru_cache(maxsize=4)
def _load(path: Path, changed: int) -> dict[str, Collection]:  # noqa: ARG001
    return load_collections(path)


def shown_collection(connection: Connection, settings: Settings, name: str) -> Shown:
    """A collection that can be searched. Raises Refused (404)."""
    row = find_shown(connection, name)
    if row is None:
        raise unknown_collection(connection, name)
    made = made_collection(connection, name)  # before the file: an entry that came later takes nothing over
    listed = None if made else listed_collections(settings).get(name)
    model = ModelOptions.model_construct(  # whatever the table holds is shown
        name=row.model,
        source=row.model_source,
        revision=row.revision,
        dtype=row.dtype or (listed.model.dtype if listed else "float32"),
        use_cls_token=row.use_cls_token,
    )
    if listed and listed.model.name == model.name:  # whoever loads it compares its digest
        moved = {"source": listed.model.source, "revision": listed.model.revision}
        model = model.model_copy(update=moved)
    collection = listed or made or stored_collections(connection)[name]
    return Shown(
        collection.model_copy(update={"model": model}),  # collections.yaml may name the next one already
        model,
        row.family,
        row.dimensions,
        row.digest,
        usable_calibrations(row.calibration),
        made=made is not None,
        listed=listed is not None,
        unread=unread_keys(connection, name) if made else (),
    )


def require_changeable(shown: Shown) -> None:
    """Raise Refused (409) of a collection that does not tell, or not readably, how its pictures are to be worked on."""
    if not shown.listed and not shown.made:
        told = f"collection {shown.name!r} is not in collections.yaml any more: it is searched, and not changed"
        hint = f"write its entry again, or `image-retrieval collections drop {shown.name}`"
        raise Refused(409, "not_listed", told, hint)
    if shown.unread:
        told = f"collection {shown.name!r} was made with {', '.join(shown.unread)} that this version does not take"
        raise Refused(409, "not_readable", told, "it is searched as before; make a new one for new pictures")


def unknown_collection(connection: Connection, name: str) -> Refused:
    """The refusal that tells which collections there are."""
    names = [known.name for known in known_collections(connection)]
    there = ", ".join(names[:20]) or "none"
    return Refused(404, "unknown_collection", f"there is no collection {name[:80]!r}", f"there are: {there}")


def known_models(connection: Connection, settings: Settings) -> dict[str, ModelOptions]:
    """Models that a new collection may take: those of the collections that there are, by name, in their order."""
    models: dict[str, ModelOptions] = {}
    for collection in (*listed_collections(settings).values(), *made_collections(connection).values()):
        models.setdefault(collection.model.name, collection.model)  # the file tells where a model is now
    return models


def new_collection(settings: Settings, name: str, model: ModelOptions, options: dict[str, Any]) -> Collection:
    """A collection whose pictures lie under the setting `service_source_uri`. Raises Refused (422)."""
    source = f"{settings.service_source_uri.rstrip('/')}/{name}/"
    try:
        return Collection(name=name, source=source, model=model, schedule=None, **options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(422, "invalid_request", f"{place}: {first['msg']}") from None
