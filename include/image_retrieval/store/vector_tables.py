"""The objects of each collection in the database: vector tables and a view."""

from dataclasses import dataclass

from psycopg.types.json import Jsonb

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.spaces import VectorSpace
from image_retrieval.store import switches
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_column, fetch_optional
from image_retrieval.store.sql import statement


class SpaceTaken(UserError):
    """Another collection and model have a table, an index or a view of that name."""


@dataclass(frozen=True, slots=True)
class ShownSpace:
    """The model whose vectors a collection's view shows, and their dimensions."""

    model: str
    dimensions: int


def is_there(connection: Connection, space: VectorSpace) -> bool:
    """Whether a space has a vector table."""
    names = {"collection": space.collection, "model": space.model}
    return connection.execute(statement("vector_tables", "find_space"), names).fetchone() is not None


def drop_vectors(connection: Connection, space: VectorSpace) -> None:
    """Drop the vectors of a space that no view shows, and the objects that search them."""
    names = {"collection": space.collection, "model": space.model}
    connection.execute(statement("vector_tables", "drop_vectors"), names)


def ensure_vector_table(connection: Connection, collection: Collection, dimensions: int) -> None:
    """Create the vector table of this collection under its model, if it is missing.

    Raises SpaceTaken if another space, or another object in the schema, has one of the names that it needs.
    """
    space = collection.space
    if is_there(connection, space):
        return  # not even a lock: people are searching
    _claim(connection, space)
    for name in ("vector_table", "vector_storage", "vector_trigger", "vector_comments"):
        connection.execute(statement("vector_tables", name, vectors=space.vector_table, dimensions=dimensions))
    names = {"collection": space.collection, "model": space.model, "distance": collection.distance}
    connection.execute(statement("vector_tables", "face_vectors"), names)


def _claim(connection: Connection, space: VectorSpace) -> None:
    """Record a space in `retrieval.vector_space`, if its names are free."""
    message = (
        f"the vectors of collection {space.collection!r} under model {space.model!r} would be in {space.vector_table}"
    )
    names = {"collection": space.collection, "model": space.model}
    released = statement("vector_tables", "release_space")
    for former in fetch_all(connection, VectorSpace, released, {**names, "stem": space.stem}):
        connection.execute(statement("vector_tables", "drop_matching", matching=former.matching))
    new = connection.execute(statement("vector_tables", "claim_space"), names).rowcount == 1
    owner = fetch_optional(connection, VectorSpace, statement("vector_tables", "find_owner"), {"stem": space.stem})
    if owner != space:
        found = f"collection {owner.collection!r} under model {owner.model!r}" if owner else "another space"
        raise SpaceTaken(f"{message}, which has the name of a table or index of {found}: give the model another name")
    wanted = {"relations": list(space.relations), "functions": list(space.functions)}
    strays = fetch_column(connection, statement("vector_tables", "find_strays"), wanted) if new else []
    if strays:
        found = ", ".join(strays)
        raise SpaceTaken(f"{message}, but the schema retrieval already has {found}: give the model another name")


def show_in_view(connection: Connection, collection: Collection, dimensions: int, *, complete: bool) -> str:
    """Let `images.<collection>` show this model's vectors if they are complete. Returns the model that it shows.

    Until then, a view of another model stays.
    """
    known = lock_view(connection, collection)
    if known is not None and known.model != collection.model.name:
        if not complete:
            return known.model
        switches.record(connection, collection.name, known.model, collection.model.name)
    replace_view(connection, collection, dimensions, known)
    return collection.model.name


def lock_view(connection: Connection, collection: Collection) -> ShownSpace | None:
    """Lock a collection's view until the transaction ends. Returns what it shows, or None if it does not exist."""
    query = statement("vector_tables", "find_collection")
    return fetch_optional(connection, ShownSpace, query, {"name": collection.name})


def replace_view(connection: Connection, collection: Collection, dimensions: int, known: ShownSpace | None) -> None:
    """Let `images.<collection>` show this model's vectors instead of those that `lock_view` found."""
    if known is None or known.model != collection.model.name:
        if known is not None and known.dimensions != dimensions:
            connection.execute(statement("vector_tables", "drop_view", view=collection.name))
        shown = {"view": collection.name, "vectors": collection.space.vector_table}
        connection.execute(statement("vector_tables", "replace_view"), shown)
    row = {
        "name": collection.name,
        "source": collection.source,
        "model": collection.model.name,
        "dimensions": dimensions,
        "distance": collection.distance,
        "definition": Jsonb(collection.model_dump(mode="json", exclude={"name"})),
    }
    connection.execute(statement("vector_tables", "register_collection"), row)
