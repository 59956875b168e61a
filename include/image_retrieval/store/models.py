"""Which model a collection's runs embed with, and which one its view shows.

`collections.yaml` says so, unless a switch put its model aside: what that switched to holds until the file names
another model than the one that was put aside.
"""

from typing import Any

from psycopg.types.json import Jsonb

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.models.description import ModelDescription
from image_retrieval.models.digest import require_digest
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement

MOVES = ("source", "revision")  # of a model: they say where its files are, their digest which ones


def under(connection: Connection, collection: Collection, model: str) -> Collection:
    """The collection under a model that the database knows. Raises UserError where it knows none of that name."""
    if model == collection.model.name:
        return collection
    row = connection.execute(statement("switch", "find_options"), {"model": model}).fetchone()
    if row is None:
        raise UserError(f"no collection has used a model {model!r} yet: give its source")
    options = ModelOptions(
        name=model,
        source=row["source"],
        revision=row["revision"],
        dtype=row["dtype"] or collection.model.dtype,
        batch_size=collection.model.batch_size,
        use_cls_token=row["use_cls_token"],
    )
    return collection.model_copy(update={"model": options})


def current(connection: Connection, collection: Collection) -> Collection:
    """An entry of collections.yaml under the model that its runs embed with."""
    row = _shown(connection, collection)
    return (
        under(connection, collection, row["model"]) if row and row["overrules"] == collection.model.name else collection
    )


def shown(connection: Connection, collection: Collection) -> Collection:
    """An entry of collections.yaml under the model that its view shows; unchanged where it has no view yet."""
    row = _shown(connection, collection)
    return under(connection, collection, row["model"]) if row else collection


def models_of(connection: Connection, collection: Collection, run_id: str) -> list[Collection]:
    """Per shard of a run, the collection under the model that the shard is embedded with.

    While a switch is open, the second half of the shards are the first half under the other model.
    """
    run = find_run(connection, collection.name, run_id)
    entries = [under(connection, collection, name) for name in (run["model"], run["also"]) if name]
    return [entry for entry in entries for _ in range(run["shards"] // len(entries))]


def find_run(connection: Connection, collection: str, run_id: str) -> dict[str, Any]:
    """`model`, `also`, `switch` and `shards` of a run. Raises UserError where there is none."""
    row = connection.execute(statement("switch", "find_run"), {"collection": collection, "run_id": run_id}).fetchone()
    if row is None:
        raise UserError(f"collection {collection!r} has no run {run_id!r}: `list` creates one")
    return row


def _shown(connection: Connection, collection: Collection) -> dict[str, Any] | None:
    return connection.execute(statement("switch", "find_shown"), {"collection": collection.name}).fetchone()


def register_model(connection: Connection, collection: Collection, model: ModelDescription) -> str | None:
    """Record the collection's model.

    Returns the digest of the files that its vectors were made with, None where there are no vectors yet. The same files
    may lie at another source, or be another revision: whoever loads them compares their digest, and `record_source`
    then follows. Raises UserError where that name stands for another model already.
    """
    row = {
        "source": collection.model.source,
        "revision": collection.model.revision,
        "family": model.family,
        "dimensions": model.dimensions,
        "use_cls_token": collection.model.use_cls_token,
        "dtype": collection.model.dtype,
    }
    calibration = {"calibration": Jsonb(model.calibration) if model.calibration else None}
    connection.execute(statement("view", "register_model"), {"name": collection.model.name, **row, **calibration})
    known = connection.execute(statement("view", "find_model"), {"name": collection.model.name}).fetchone() or {}
    digest: str | None = known.pop("digest", None)
    differs = [key for key in row if known[key] != row[key]]
    moved = bool(differs) and set(differs) <= set(MOVES)
    if moved and digest is None and not _has_vectors(connection, collection.model.name):
        record_source(connection, collection)
    elif differs and not (moved and digest):
        changed = ", ".join(f"{key} {known[key]!r} → {row[key]!r}" for key in differs)
        raise UserError(
            f"model {collection.model.name!r} of collection {collection.name!r} has made vectors already and was "
            f"changed since ({changed}): new vectors would not be comparable; give the changed model a new name"
        )
    return digest


def _has_vectors(connection: Connection, model: str) -> bool:
    """Whether any collection has a vector under a model."""
    tables = connection.execute(statement("view", "find_tables_of"), {"model": model}).fetchall()
    found = (connection.execute(statement("view", "has_vectors", vectors=row["vectors"])).fetchone() for row in tables)
    return any(row and row["found"] for row in found)


def has_moved(connection: Connection, collection: Collection) -> bool:
    """Whether the collection's model lies elsewhere than the one of its name was last found."""
    known = connection.execute(statement("view", "find_model"), {"name": collection.model.name}).fetchone()
    model = collection.model
    return known is not None and (known["source"], known["revision"]) != (model.source, model.revision)


def record_source(connection: Connection, collection: Collection) -> None:
    """Record where the collection's model lies, whose files were found to be those that made its vectors."""
    model = collection.model
    row = {"name": model.name, "source": model.source, "revision": model.revision}
    connection.execute(statement("view", "record_source"), row)


def known_digest(connection: Connection, model: str) -> str | None:
    """The digest of the files that a model's vectors were made with; None where it has none yet."""
    row = connection.execute(statement("view", "find_model"), {"name": model}).fetchone()
    return row["digest"] if row else None


def record_digest(connection: Connection, collection: Collection, digest: str) -> None:
    """Record what files the collection's model was loaded from. Raises UserError where it was others before."""
    connection.execute(statement("view", "record_digest"), {"name": collection.model.name, "digest": digest})
    require_digest(digest, known_digest(connection, collection.model.name), collection.model.source)
