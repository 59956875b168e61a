"""The model that a collection's runs embed with, and the one that its view shows.

`collections.yaml` names both, unless a switch has replaced its model: the switch's model holds until the file names a
model other than the replaced one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from psycopg.types.json import Jsonb

from image_retrieval.collection import Collection, Dtype, ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.models.digest import require_digest
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_column, fetch_one, fetch_optional, fetch_value
from image_retrieval.store.runs import find_run
from image_retrieval.store.sql import statement

COMPARABLE = {"auto", "float32"}  # dtypes whose vectors agree, as quickest.py makes sure
MOVES = ("source", "revision")  # the place of a model's files; their digest says which files they are


class Described(Protocol):
    """What is recorded of a model's description: ModelDescription, or TextEncoder."""

    @property
    def family(self) -> str: ...

    @property
    def image_family(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def calibration(self) -> Mapping[str, object] | None: ...


@dataclass(frozen=True, slots=True)
class ShownModel:
    """The model that a view shows, the one of collections.yaml that a switch replaced, and that of caption vectors."""

    model: str
    overrules: str | None
    text_model: str | None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in the database: columns of `retrieval.model`."""

    name: str
    source: str
    revision: str | None
    family: str
    dimensions: int
    use_cls_token: bool
    dtype: Dtype | None
    digest: str | None


def find_model(connection: Connection, name: str) -> ModelRow | None:
    """The model of a name."""
    return fetch_optional(connection, ModelRow, statement("models", "find_model"), {"name": name})


def under(connection: Connection, collection: Collection, model: str) -> Collection:
    """The collection under a model that the database knows. Raises UserError if it knows none of that name."""
    if model == collection.model.name:
        return collection
    row = find_model(connection, model)
    if row is None:
        raise UserError(f"no collection has used a model {model!r} yet: give its source")
    options = ModelOptions(
        name=model,
        source=row.source,
        revision=row.revision,
        dtype=row.dtype or collection.model.dtype,
        batch_size=collection.model.batch_size,
        use_cls_token=row.use_cls_token,
    )
    return collection.model_copy(update={"model": options})


def current(connection: Connection, collection: Collection) -> Collection:
    """An entry of collections.yaml under the model that its runs embed with."""
    row = find_shown(connection, collection.name)
    return under(connection, collection, row.model) if row and row.overrules == collection.model.name else collection


def shown(connection: Connection, collection: Collection) -> Collection:
    """An entry of collections.yaml under the model that its view shows; unchanged if it has no view yet."""
    row = find_shown(connection, collection.name)
    return under(connection, collection, row.model) if row else collection


def for_captions(collection: Collection) -> Collection:
    """An entry of collections.yaml under the model of its captions. Raises UserError if it names none."""
    if collection.text_model is None:
        raise UserError(f"collection {collection.name!r} names no text_model")
    return collection.model_copy(update={"model": collection.text_model})


def searched_by_captions(connection: Connection, collection: Collection) -> Collection:
    """An entry under the model of the caption vectors that searches compare. Raises UserError if there are none."""
    row = find_shown(connection, collection.name)
    if row is None or row.text_model is None:
        raise UserError(
            f"the captions of collection {collection.name!r} have no vectors: name a text_model in its entry, then run "
            f"`image-retrieval caption {collection.name}`"
        )
    if collection.text_model is not None and collection.text_model.name == row.text_model:
        return for_captions(collection)  # the process that loads it compares its digest
    return under(connection, collection, row.text_model)


def models_of(connection: Connection, collection: Collection, run_id: str) -> list[Collection]:
    """For each shard of a run, the collection under the model with which the shard is embedded.

    While a switch is open, the second half of the shards repeats the first half under the other model.
    """
    run = find_run(connection, collection.name, run_id)
    entries = [under(connection, collection, name) for name in (run.model, run.also) if name]
    return [entry for entry in entries for _ in range(run.shards // len(entries))]


def find_shown(connection: Connection, collection: str) -> ShownModel | None:
    """The model that a collection's view shows, or None if it has no view yet."""
    return fetch_optional(connection, ShownModel, statement("models", "find_shown"), {"collection": collection})


def register_model(connection: Connection, collection: Collection, model: Described) -> str | None:
    """Record the collection's model.

    Returns the digest of the files that made its vectors, or None if there are no vectors yet. The same files may have
    another source or revision: the process that loads them compares their digest, and `record_source` then records the
    place. A text side beside a model of pictures may come or go: its vectors stay. Raises UserError if the name already
    stands for another model.
    """
    wanted = {
        "source": collection.model.source,
        "revision": collection.model.revision,
        "family": model.family,
        "dimensions": model.dimensions,
        "use_cls_token": collection.model.use_cls_token,
        "dtype": collection.model.dtype,
    }
    calibration = {"calibration": Jsonb(model.calibration) if model.calibration else None}
    name = {"name": collection.model.name}
    connection.execute(statement("models", "register_model"), {**name, **wanted, **calibration})
    known = fetch_one(connection, ModelRow, statement("models", "find_model"), name)
    differs = [key for key, value in wanted.items() if getattr(known, key) != value]
    if {known.dtype, collection.model.dtype} <= COMPARABLE:
        differs = [key for key in differs if key != "dtype"]
    if "family" in differs and _only_the_text_side(known.family, model):
        connection.execute(statement("models", "record_family"), {**name, "family": model.family})
        differs.remove("family")
    moved = bool(differs) and set(differs) <= set(MOVES)
    if moved and known.digest is None and not _has_vectors(connection, collection.model.name):
        record_source(connection, collection)
    elif differs and not (moved and known.digest):
        changed = ", ".join(f"{key} {getattr(known, key)!r} → {wanted[key]!r}" for key in differs)
        raise UserError(
            f"model {collection.model.name!r} of collection {collection.name!r} has already made vectors, and was "
            f"changed since ({changed}): new vectors would not be comparable; give the changed model a new name"
        )
    return known.digest


def _only_the_text_side(known: str, model: Described) -> bool:
    """Whether a family became another one since a text side came to, or left, a model of pictures alone."""
    return model.image_family != "dual_encoder" and {known, model.family} == {model.image_family, "dual_encoder"}


def _has_vectors(connection: Connection, model: str) -> bool:
    """Whether any collection has a vector under a model."""
    tables = fetch_column(connection, statement("models", "find_tables_of"), {"model": model})
    return any(fetch_value(connection, statement("models", "has_vectors", vectors=table)) for table in tables)


def has_moved(connection: Connection, collection: Collection) -> bool:
    """Whether the place of the collection's model differs from the recorded one."""
    known, model = find_model(connection, collection.model.name), collection.model
    return known is not None and (known.source, known.revision) != (model.source, model.revision)


def record_source(connection: Connection, collection: Collection) -> None:
    """Record the place of the collection's model, once its files are known to be those that made its vectors."""
    model = collection.model
    row = {"name": model.name, "source": model.source, "revision": model.revision}
    connection.execute(statement("models", "record_source"), row)


def known_digest(connection: Connection, model: str) -> str | None:
    """The digest of the files that made a model's vectors, or None if it has no vectors yet."""
    known = find_model(connection, model)
    return known.digest if known else None


def record_digest(connection: Connection, collection: Collection, digest: str) -> None:
    """Record the digest of the files of the collection's model. Raises UserError if another one is recorded."""
    connection.execute(statement("models", "record_digest"), {"name": collection.model.name, "digest": digest})
    require_digest(digest, known_digest(connection, collection.model.name), collection.model.source)
