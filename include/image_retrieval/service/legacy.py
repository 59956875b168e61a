"""The functions of the older wire protocol.

A database is a collection whose pictures come through the API; `feature_dim_dict` chooses the model by the dimension of
its vectors. Each function takes a form of legacy_schemas.py, and raises Refused, UserError and ImageRejected.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import BaseModel

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.models.calibration import score_of
from image_retrieval.models.description import describe
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.models.source import model_folder
from image_retrieval.pipeline.pending import settle
from image_retrieval.pipeline.registering import Picture, delete_image
from image_retrieval.service import collections, images
from image_retrieval.service.asking import current
from image_retrieval.service.catalog import Shown, known_models, require_changeable, shown_collection
from image_retrieval.service.errors import Refused, require_gone
from image_retrieval.service.legacy_schemas import Asked, Base, Database, Given, Group, Named, Nothing
from image_retrieval.service.schemas import CollectionForm, ReplaceForm
from image_retrieval.service.search import MANY
from image_retrieval.service.state import LOCK_SECONDS, Service
from image_retrieval.store import search as store
from image_retrieval.store.collections import known_collections
from image_retrieval.store.connection import Connection
from image_retrieval.store.images import Member, list_members, next_intra_id
from image_retrieval.values import new_image_id

log = structlog.get_logger()
Answer = dict[str, Any]
Pages = Iterator[Sequence[Mapping[str, Any]]]
COUNTING = threading.Lock()  # else two requests at once would get one intra_id
PAGE = 1000  # images that are read, shown or deleted at once


@dataclass(frozen=True, slots=True)
class Members:
    """An answer with any number of images, as pages; one page is in memory at a time."""

    pages: Pages


def _init(service: Service, base: Base) -> Answer:
    return {"message": "init db success.", "backend": base.backend, "root_path": service.settings.service_source_uri}


def _add(service: Service, database: Database) -> Answer:
    (feature, dimensions), *_ = database.feature_dim_dict.items()
    distance = database.feature_distance_dict.get(feature, "Cosine")
    if distance.lower() != "cosine":
        raise Refused(422, "unknown_distance", f"{feature} has the distance {distance[:40]!r}: use Cosine")
    form = CollectionForm(name=_collection_name(database.database_name))
    model = _loadable(service, dimensions)
    with service.changing(), service.writing() as connection:
        collections.make(service, connection, form, model)
    return {"add": True, "database_name": database.database_name}


def _loadable(service: Service, dimensions: int) -> ModelOptions:
    """The first loadable model of this dimension: of collections, then of those that ship. Raises Refused."""
    with service.transaction() as connection:
        known = list(known_models(connection, service.settings).values())
    shipped = [ModelOptions(name=folder.name, source=str(folder)) for folder in (DUAL, VISION)]
    lengths: dict[int, list[str]] = {}
    faults = []
    for model in [*known, *shipped]:
        try:
            folder = model_folder(model.source, model.revision, service.settings, weights=False)
            length = describe(folder).dimensions
            if length == dimensions:
                service.encoder.facts(model)
                return model
            lengths.setdefault(length, []).append(model.name)
        except (UserError, ImageRejected) as error:
            faults.append(model.name)
            log.warning("a model cannot be loaded", model=model.name, error=str(error))
    there = ", ".join(f"{length} ({', '.join(dict.fromkeys(names))})" for length, names in sorted(lengths.items()))
    left_out = f"; not loadable (see the log): {', '.join(faults)[:500]}" if faults else ""
    hint = f"available dimensions: {there or 'none'}{left_out}"
    raise Refused(422, "wrong_dimension", f"no loadable model makes vectors of {dimensions} dimensions", hint)


def _list(service: Service, _: Nothing) -> Answer:
    with service.transaction() as connection:
        known = known_collections(connection)
    return {
        "databases": [
            {"database_name": entry.name, "feature_dim_dict": {"feature": entry.dimensions}} for entry in known
        ]
    }


def _get(service: Service, named: Named) -> Answer:
    with service.transaction() as connection:
        shown = _database(connection, service, named)
    distances = {"feature": "Cosine"}
    return {
        "database_name": shown.name,
        "feature_dim_dict": {"feature": shown.dimensions},
        "feature_distance_dict": distances,
    }


def _delete(service: Service, named: Named) -> Answer:
    with service.transaction() as connection:
        name = _database(connection, service, named).name
    collections.drop(service, name)
    return {"delete": True, "database_name": named.database_name}


def _db_set(service: Service, given: Given) -> Answer:
    with service.transaction() as connection:
        shown = _database(connection, service, given)
    form = ReplaceForm(base64=given.image, url=given.url, group_id=given.group_id, intra_id=given.intra_id)
    _image_id(given.group_id, given.intra_id or "0")  # refused before the picture is processed
    picture = images.made_picture(service, shown, form)
    with service.changing():
        if given.intra_id is not None:
            return _put(service, shown, form, given.intra_id, picture)
        with _counting():
            return _put(service, shown, form, _next_intra_id(service, given), picture)


@contextmanager
def _counting() -> Iterator[None]:
    if not COUNTING.acquire(timeout=min(LOCK_SECONDS, current().left())):
        raise Refused(503, "busy", "too many requests without intra_id wait", "try again in a moment", wait=5)
    try:
        yield
    finally:
        COUNTING.release()


def _next_intra_id(service: Service, given: Given) -> str:
    with service.transaction() as connection:
        return next_intra_id(connection, _database(connection, service, given).name, str(given.group_id))


def _put(service: Service, shown: Shown, form: ReplaceForm, intra_id: str, picture: Picture) -> Answer:
    image_id = _image_id(str(form.group_id), intra_id)
    info = images.put(service, shown, image_id, form.model_copy(update={"intra_id": intra_id}), picture)
    return {"group_id": info.group_id, "intra_id": info.intra_id, "image_path": info.image_path}


def _db_get(service: Service, group: Group) -> Members:
    return Members(
        [{name: row[name] for name in ("group_id", "intra_id", "image_path")} for row in page]
        for page in _members(service, group)
    )


def _db_list(service: Service, named: Named) -> Members:
    return _db_get(service, Group(database_name=named.database_name))


def _db_del(service: Service, group: Group) -> Answer:
    """Deletes page by page: others may read and write in between, and an interrupted call has deleted whole pages."""
    if group.group_id is None:
        raise Refused(422, "invalid_request", "group_id is needed: `delete` drops a whole database")
    deleted = 0
    for page in _members(service, group):
        with service.changing():
            with service.writing() as connection:
                shown = _database(connection, service, group)
                require_changeable(shown)
                found = [row["image_id"] for row in page]
                deleted += sum(
                    delete_image(connection, shown.collection, image_id, service.settings, service.store)
                    for image_id in found
                )
            require_gone(settle(shown.name, service.settings))
    return {"deleted": deleted}


def _db_search(service: Service, asked: Asked) -> Answer:
    with service.transaction() as connection:
        shown = _database(connection, service, asked)
    vector = service.image_vector(service.picture_bytes(asked.image, asked.url), shown)
    with service.transaction(heavy=asked.search_topk > MANY) as connection:
        rows = store.search(connection, shown.name, vector, asked.search_topk, model=shown.model.name)
    return {"results": [_found(row) for row in rows]}


def _found(row: store.Found) -> Answer:
    similarity = score_of(row["similarity"], None)
    return {
        "group_id": row["group_id"],
        "intra_id": row["intra_id"],
        "image_path": row["image_path"],
        "similarity": similarity,
        "distance": 1 - similarity,
    }


def _database(connection: Connection, service: Service, named: Named) -> Shown:
    try:
        return shown_collection(connection, service.settings, _collection_name(named.database_name))
    except Refused as error:
        if error.code != "unknown_collection":
            raise
        raise Refused(404, "unknown_database", f"unknown database {named.database_name[:80]!r}", error.hint) from None


def _collection_name(name: str) -> str:
    """The collection's name for a database's name. Raises Refused (422)."""
    lower = name.lower().replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,23}", lower):
        raise Refused(422, "invalid_name", "database_name is a letter, then up to 23 letters, digits, - and _")
    return lower


def _image_id(group_id: str, intra_id: str) -> str:
    try:
        if any("/" in part or part.startswith(".") for part in (group_id, intra_id)):
            raise ValueError("is <group_id>/<intra_id>: neither part may contain / or begin with a dot")
        return new_image_id(f"{group_id}/{intra_id}")
    except ValueError as error:
        raise Refused(422, "invalid_request", f"the image's id {error}") from None


def _members(service: Service, group: Group) -> Iterator[list[Member]]:
    """The images of a database or group, in order of their ids. Each page has a transaction of its own."""
    after, full = None, True
    while full:
        with service.transaction(heavy=True) as connection:
            shown = _database(connection, service, group)
            page = list_members(
                connection, shown.name, after=after, group_id=group.group_id, intra_id=group.intra_id, limit=PAGE
            )
        yield page
        full = len(page) == PAGE
        after = page[-1]["image_id"] if page else None


FUNCTIONS: dict[str, tuple[type[BaseModel], Callable[[Service, Any], Answer | Members]]] = {
    "init": (Base, _init),
    "add": (Database, _add),
    "list": (Nothing, _list),
    "get": (Named, _get),
    "delete": (Named, _delete),
    "db_set": (Given, _db_set),
    "db_get": (Group, _db_get),
    "db_list": (Named, _db_list),
    "db_del": (Group, _db_del),
    "db_search": (Asked, _db_search),
}
