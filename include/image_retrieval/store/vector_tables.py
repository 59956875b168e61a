"""What each collection gets of its own in the database: vector tables and a view."""

from typing import Any

from psycopg.types.json import Jsonb

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


class SpaceTaken(UserError):
    """Another collection and model have made a table, an index or a view of that name."""


def ensure_vector_table(connection: Connection, collection: Collection, dimensions: int) -> None:
    """Make the table of this collection's vectors under its model, where it is missing.

    Raises SpaceTaken where another space, or something else in the schema, has one of the names that this would take.
    """
    space = collection.space
    names = {"collection": space.collection, "model": space.model}
    if connection.execute(statement("view", "find_space"), names).fetchone() is not None:
        return  # not even a lock: people are searching
    _claim(connection, space)
    for name in ("vector_table", "vector_storage", "vector_trigger", "vector_comments"):
        connection.execute(statement("view", name, vectors=space.vector_table, dimensions=dimensions))
    connection.execute(statement("view", "face_vectors"), {**names, "distance": collection.distance})


def _claim(connection: Connection, space: VectorSpace) -> None:
    """Enter a space into `retrieval.vector_space`, where nobody has its names."""
    told = (
        f"the vectors of collection {space.collection!r} under model {space.model!r} would be in {space.vector_table}"
    )
    names = {"collection": space.collection, "model": space.model}
    connection.execute(statement("view", "release_space"), {**names, "stem": space.stem})
    new = connection.execute(statement("view", "claim_space"), names).rowcount == 1
    owner = connection.execute(statement("view", "find_owner"), {"stem": space.stem}).fetchone()
    if owner != names:
        found = f"collection {owner['collection']!r} under model {owner['model']!r}" if owner else "another space"
        raise SpaceTaken(f"{told}, which has the name of a table or index of {found}: give the model another name")
    wanted = {"relations": list(space.relations), "function": space.function}
    strays = connection.execute(statement("view", "find_strays"), wanted).fetchall() if new else []
    if strays:
        found = ", ".join(row["name"] for row in strays)
        raise SpaceTaken(f"{told}, and the schema retrieval has {found} already: give the model another name")


def show_in_view(connection: Connection, collection: Collection, dimensions: int, *, complete: bool) -> str:
    """Let `images.<collection>` show this model's vectors, and return the model that it shows.

    A view of another model stays until this model's vectors are complete.
    """
    known = lock_view(connection, collection)
    if known is not None and known["model"] != collection.model.name:
        if not complete:
            return str(known["model"])
        names = {"collection": collection.name, "from_model": known["model"], "to_model": collection.model.name}
        connection.execute(statement("switch", "record"), names)
    replace_view(connection, collection, dimensions, known)
    return collection.model.name


def lock_view(connection: Connection, collection: Collection) -> dict[str, Any] | None:
    """The model that a collection's view shows and its dimensions, None before its first; nobody else changes them."""
    return connection.execute(statement("view", "find_collection"), {"name": collection.name}).fetchone()


def replace_view(connection: Connection, collection: Collection, dimensions: int, known: dict[str, Any] | None) -> None:
    """Let `images.<collection>` show this model's vectors in place of what `lock_view` found."""
    if known is None or known["model"] != collection.model.name:
        if known is not None and known["dimensions"] != dimensions:
            connection.execute(statement("view", "drop_view", view=collection.name))
        shown = {"view": collection.name, "vectors": collection.space.vector_table}
        connection.execute(statement("view", "replace_view"), shown)
    row = {
        "name": collection.name,
        "source": collection.source,
        "model": collection.model.name,
        "dimensions": dimensions,
        "distance": collection.distance,
        "definition": Jsonb(collection.model_dump(mode="json", exclude={"name"})),
    }
    connection.execute(statement("view", "register_collection"), row)
