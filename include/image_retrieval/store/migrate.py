"""Migrates a database's schema to the newest version."""

from importlib.resources import as_file, files

import psycopg
from alembic import command
from alembic.config import Config

from image_retrieval.settings import Settings
from image_retrieval.store.connection import require_reachable, where
from image_retrieval.store.connection_string import connection_string
from image_retrieval.store.failures import told_in_one_line


def migrate(settings: Settings) -> None:
    """Migrate the database's schema to the newest version, all or nothing.

    Raises UserError if the database cannot be reached, or if its server, encoding, extension or a right of the role
    does not meet the requirements.
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
