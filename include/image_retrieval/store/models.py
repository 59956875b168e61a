"""Which model a collection's runs embed with, and which one its view shows.

`collections.yaml` says so, unless a switch put its model aside: what that switched to holds until the file names
another model than the one that was put aside.
"""

from typing import Any

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


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
