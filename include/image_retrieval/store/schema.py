"""Migrations, and the objects that each collection gets of its own: vector table, index, view."""

from importlib.resources import as_file, files
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.types.json import Jsonb

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.models.description import ModelDescription
from image_retrieval.models.digest import require_digest
from image_retrieval.settings import Settings
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection, require_reachable, where
from image_retrieval.store.connection_string import connection_string
from image_retrieval.store.failures import told_in_one_line
from image_retrieval.store.sql import statement

MOVES = ("source", "revision")  # of a model: they say where its files are, their digest which ones


class SpaceTaken(UserError):
    """Another collection and model have made a table, an index or a view of that name."""


def migrate(settings: Settings) -> None:
    """Bring the database's schema to the newest version, all or nothing.

    Raises UserError where the database cannot be reached, or its server, its encoding, its extension or a right of the
    role is not what is needed.
    """
    from sqlalchemy import exc

    place = where(settings)
    require_reachable(settings)
    with as_file(files("image_retrieval.store") / "migrations") as folder:
        config = Config(attributes={"database_url": connection_string(settings), "place": place})
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        with told_in_one_line(place):
            try:
                command.upgrade(config, "head")
            except exc.DBAPIError as error:
                raise error.orig if isinstance(error.orig, psycopg.Error) else error from None


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
