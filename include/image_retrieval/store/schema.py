"""Migrations, and the objects that each collection gets of its own: vector table, index, view."""

from importlib.resources import as_file, files
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.types.json import Jsonb

from image_retrieval.collection import Collection
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.models.description import ModelDescription
from image_retrieval.models.digest import require_digest
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, where
from image_retrieval.store.sql import statement


def migrate(settings: Settings) -> None:
    """Bring the database's schema to the newest version. Raises UserError where it cannot be reached."""
    from sqlalchemy import exc

    place = where(settings)
    with as_file(files("image_retrieval.store") / "migrations") as folder:
        config = Config(attributes={"database_url": settings.database()})
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        try:
            command.upgrade(config, "head")
        except (exc.OperationalError, psycopg.OperationalError) as error:
            reason = " ".join(str(getattr(error, "orig", error)).split())
            raise Unavailable(f"{place} cannot be migrated: {reason[:300]}") from None


def register_model(connection: Connection, collection: Collection, model: ModelDescription) -> str | None:
    """Record the collection's model.

    Returns the digest of the files that its vectors were made with, None where there are no vectors yet. Raises
    UserError where that name stands for another model already.
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
    if known != row:
        changed = ", ".join(f"{key} {known[key]!r} → {row[key]!r}" for key in row if known[key] != row[key])
        raise UserError(
            f"model {collection.model.name!r} of collection {collection.name!r} has made vectors already and was "
            f"changed since ({changed}): they would not compare; give the changed model a new name"
        )
    return digest


def known_digest(connection: Connection, model: str) -> str | None:
    """The digest of the files that a model's vectors were made with; None where it has none yet."""
    row = connection.execute(statement("view", "find_model"), {"name": model}).fetchone()
    return row["digest"] if row else None


def record_digest(connection: Connection, collection: Collection, digest: str) -> None:
    """Record what files the collection's model was loaded from. Raises UserError where it was others before."""
    connection.execute(statement("view", "record_digest"), {"name": collection.model.name, "digest": digest})
    require_digest(digest, known_digest(connection, collection.model.name), collection.model.source)


def ensure_vector_table(connection: Connection, collection: Collection, dimensions: int) -> None:
    """Make the table of this collection's vectors under its model, where it is missing."""
    known = connection.execute(statement("view", "find_table"), {"table": f"retrieval.{collection.vector_table}"})
    if known.fetchone() is not None:
        return  # not even a lock: people are searching
    for name in ("vector_table", "vector_storage", "vector_trigger", "vector_comments"):
        connection.execute(statement("view", name, vectors=collection.vector_table, dimensions=dimensions))
    names = {"collection": collection.name, "model": collection.model.name, "distance": collection.distance}
    connection.execute(statement("view", "face_vectors"), names)


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
        shown = {"view": collection.name, "vectors": collection.vector_table}
        connection.execute(statement("view", "replace_view"), shown)
    row = {
        "name": collection.name,
        "source": collection.source,
        "model": collection.model.name,
        "dimensions": dimensions,
        "distance": collection.distance,
    }
    connection.execute(statement("view", "register_collection"), row)
