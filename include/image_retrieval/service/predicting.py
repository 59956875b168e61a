"""Calls of the older wire protocol, turned into those of this service.

A database is a collection whose pictures come through the API; `feature_dim_dict` chooses the model by the length of
its vectors. Answers have `success`, `info`, `error_code` and `error_msg`, as hosted services answer; a call that failed
is answered with status 200 and `success` false, as their client scripts expect.
"""

import re
import threading
from collections.abc import Callable
from typing import Annotated, Any

import psycopg
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.pipeline.pending import settle
from image_retrieval.pipeline.registering import delete_image
from image_retrieval.service.catalog import Shown, known_models, shown_collection
from image_retrieval.service.errors import Refused, refusal_of, require_gone
from image_retrieval.service.forms import CollectionForm, ReplaceForm, Word
from image_retrieval.service.routes import collections, images
from image_retrieval.service.searching import compare
from image_retrieval.service.state import Service
from image_retrieval.store import search as store
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement

Answer = dict[str, Any]
COUNTING = threading.Lock()  # else two who register at once would get one intra_id
PAGE = 1000  # images that one answer names at most
Id = Annotated[Word, BeforeValidator(lambda given: str(given) if isinstance(given, int) else given)]


class Call(BaseModel):
    """What a call of the retrieval service holds; some scripts wrap it in `input`."""

    function_name: Word
    function_params: dict[str, Any] = {}


class Base(BaseModel):
    """Where pictures are to lie. Ours lie in this service's own store: place and keys are read and not kept."""

    backend: Word = "oss"
    root_path: Annotated[str, Field(max_length=1000, pattern=r"^[a-z0-9]+://[^\x00-\x1f\\]+$")]
    oss_io_config: dict[str, Any] = {}


class Database(BaseModel):
    """A database that is to be made."""

    database_name: Word
    feature_dim_dict: dict[str, int] = Field(min_length=1, max_length=1)
    feature_distance_dict: dict[str, str] = Field({}, max_length=1)


class Nothing(BaseModel):
    """No parameters."""


class Named(BaseModel):
    """A database."""

    database_name: Word


class Given(Named):
    """A picture for a database."""

    image: str | None = None
    url: str | None = None
    group_id: Id
    intra_id: Id | None = None


class Asked(Named):
    """A picture to search by, in a database."""

    image: str | None = None
    url: str | None = None
    search_topk: int = Field(10, ge=1, le=1000)


class Group(Named):
    """Images of a database: those of a group, or the one of an `intra_id` in it."""

    group_id: Id | None = None
    intra_id: Id | None = None


class Pair(BaseModel):
    """Two pictures to compare."""

    imagea: str
    imageb: str


def predict(service: Service, name: str, form: dict[str, Any]) -> Answer:
    """Answer one call, whatever is wrong with it."""
    try:
        given = form["input"] if isinstance(form.get("input"), dict) else form
        if "imagea" in given or "imageb" in given:
            return {"success": True, **_match(service, name, Pair.model_validate(given)), **_error(None, None)}
        call = Call.model_validate(given)
        if call.function_name not in FUNCTIONS:
            told = f"no function {call.function_name[:80]!r}: there are {', '.join(FUNCTIONS)}"
            raise Refused(400, "unknown_function", told)
        model, function = FUNCTIONS[call.function_name]
        return {
            "success": True,
            "info": function(service, model.model_validate(call.function_params)),
            **_error(None, None),
        }
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return {"success": False, "info": {}, **_error(400, f"{place}: {first['msg']}".lstrip(": "))}
    except (Refused, UserError, ImageRejected, UnicodeEncodeError, psycopg.Error) as error:
        refused = refusal_of(error)
        detail = f"{refused.code}: {refused.detail}" + (f" ({refused.hint})" if refused.hint else "")
        return {"success": False, "info": {}, **_error(refused.status, detail)}


def _error(code: int | None, message: str | None) -> Answer:
    return {"error_code": code, "error_msg": message}


def _match(service: Service, name: str, pair: Pair) -> Answer:
    """`similarity` of 0 to 1, by the model of the collection that the service is named as, else of the first one."""
    with service.transaction() as connection:
        names = [row["name"] for row in connection.execute(statement("service", "list_shown")).fetchall()]
        if not names:
            raise Refused(503, "no_collection", "no collection has a model yet")
        shown = shown_collection(connection, service.settings, name if name in names else names[0])
    a, b = (service.image_vector(service.picture_bytes(given, None), shown) for given in (pair.imagea, pair.imageb))
    return {"similarity": min(1.0, max(0.0, compare(shown, a, b).score))}


def _init(service: Service, base: Base) -> Answer:
    return {"message": "init db success.", "backend": base.backend, "root_path": service.settings.service_source_uri}


def _add(service: Service, database: Database) -> Answer:
    (feature, dimensions), *_ = database.feature_dim_dict.items()
    distance = database.feature_distance_dict.get(feature, "Cosine")
    if distance.lower() != "cosine":
        raise Refused(422, "unknown_distance", f"{feature} has the distance {distance[:40]!r}: there is Cosine only")
    with service.transaction() as connection:
        lengths = _lengths(connection, service)
        fitting = [name for name, length in lengths.items() if length == dimensions]
        if not fitting:
            there = ", ".join(f"{length} ({name})" for name, length in lengths.items()) or "none"
            raise Refused(
                422, "wrong_dimension", f"no model makes vectors of {dimensions} dimensions", f"there are: {there}"
            )
        name = _collection_name(database.database_name)
        collections.make(service, connection, CollectionForm(name=name, model=fitting[0]))
    return {"add": True, "database_name": database.database_name}


def _list(service: Service, _: Nothing) -> Answer:
    with service.transaction() as connection:
        rows = connection.execute(statement("service", "list_shown")).fetchall()
    return {
        "databases": [
            {"database_name": row["name"], "feature_dim_dict": {"feature": row["dimensions"]}} for row in rows
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
    if given.intra_id is None:
        with COUNTING:
            return _put(service, given, _next_intra_id(service, given))
    return _put(service, given, given.intra_id)


def _next_intra_id(service: Service, given: Given) -> str:
    with service.transaction() as connection:
        key = {"collection": _database(connection, service, given).name, "group_id": given.group_id}
        row = connection.execute(statement("service", "next_intra_id"), key).fetchone() or {}
    return str(row["intra_id"])


def _put(service: Service, given: Given, intra_id: str) -> Answer:
    with service.transaction() as connection:
        shown = _database(connection, service, given)
    form = ReplaceForm(base64=given.image, url=given.url, group_id=given.group_id, intra_id=intra_id)
    info = images.put(service, shown, _image_id(given.group_id, intra_id), form)
    return {"group_id": info.group_id, "intra_id": info.intra_id, "image_path": info.image_path}


def _db_get(service: Service, group: Group) -> Answer:
    with service.transaction() as connection:
        rows = _members(connection, _database(connection, service, group), group)
    return {"images": [{name: row[name] for name in ("group_id", "intra_id", "image_path")} for row in rows]}


def _db_list(service: Service, named: Named) -> Answer:
    return _db_get(service, Group(database_name=named.database_name))


def _db_del(service: Service, group: Group) -> Answer:
    if group.group_id is None:
        raise Refused(422, "invalid_request", "group_id is needed: `delete` drops a whole database")
    with service.transaction() as connection:
        shown = _database(connection, service, group)
        rows = _members(connection, shown, group)
        for row in rows:
            delete_image(connection, shown.collection, row["image_id"], service.settings)
    require_gone(settle(shown.name, service.settings))
    return {"deleted": len(rows)}


def _db_search(service: Service, asked: Asked) -> Answer:
    with service.transaction() as connection:
        shown = _database(connection, service, asked)
    vector = service.image_vector(service.picture_bytes(asked.image, asked.url), shown)
    with service.transaction() as connection:
        rows = store.search(connection, shown.name, vector, asked.search_topk, model=shown.model.name)
    kept = ("group_id", "intra_id", "image_path", "similarity")
    return {"results": [{name: row[name] for name in kept} | {"distance": 1 - row["similarity"]} for row in rows]}


def _lengths(connection: Connection, service: Service) -> dict[str, int]:
    """How long the vectors of each model are that a database may take."""
    models = known_models(connection, service.settings)
    folders = {
        name: model_folder(model.source, model.revision, service.settings, weights=False)
        for name, model in models.items()
    }
    return {name: describe(folder).dimensions for name, folder in folders.items()}


def _database(connection: Connection, service: Service, named: Named) -> Shown:
    try:
        return shown_collection(connection, service.settings, _collection_name(named.database_name))
    except Refused as error:
        if error.code != "unknown_collection":
            raise
        raise Refused(
            404, "unknown_database", f"there is no database {named.database_name[:80]!r}", error.hint
        ) from None


def _collection_name(name: str) -> str:
    """A database's name as a collection's. Raises Refused (422)."""
    lower = name.lower().replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,23}", lower):
        raise Refused(422, "invalid_name", "database_name is a letter, then up to 23 letters, digits, - and _")
    return lower


def _image_id(group_id: str, intra_id: str) -> str:
    if any("/" in part or part.startswith(".") or not part for part in (group_id, intra_id)):
        raise Refused(422, "invalid_request", "group_id and intra_id have no / and do not begin with a dot")
    return f"{group_id}/{intra_id}"


def _members(connection: Connection, shown: Shown, group: Group) -> list[dict[str, Any]]:
    wanted = {"after": None, "group_id": group.group_id, "limit": PAGE}
    rows = connection.execute(statement("service", "list_images", view=shown.name), wanted).fetchall()
    return [row for row in rows if group.intra_id in (None, row["intra_id"])]


FUNCTIONS: dict[str, tuple[type[BaseModel], Callable[[Service, Any], Answer]]] = {
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
