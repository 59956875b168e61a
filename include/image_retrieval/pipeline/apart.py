"""Keeps folders separate: the project never writes into a source, and no source lies in a folder that it empties."""

from image_retrieval.collection import Collection, load_collections
from image_retrieval.containment import lies_inside
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings
from image_retrieval.shards import (
    FORMER_FOLDER,
    KEPT_FOLDER,
    PROBES_FOLDER,
    RUNS_FOLDER,
    TRAININGS_FOLDER,
    folder_in,
)
from image_retrieval.store.collections import made_collections
from image_retrieval.store.connection import Connection
from image_retrieval.tar_uris import is_pattern, lists_tars, tars_folder

WHY = "resampled pictures would be listed as new images; choose another prefix or bucket"
PARTS = {
    RUNS_FOLDER: "files of runs are deleted",
    KEPT_FOLDER: "resampled pictures are kept",
    FORMER_FOLDER: "copies of overwritten objects are deleted",
    PROBES_FOLDER: "probes of models are kept",
}
NO_SOURCES = {**PARTS, TRAININGS_FOLDER: "trainings that are dropped delete their pictures and models"}


def require_apart(connection: Connection, collection: Collection, settings: Settings) -> None:
    """Raise UserError if the work folder lies in any source, or this collection's source in a part of it."""
    work = settings.work_uri
    for name, source in _sources(connection, collection, settings).items():
        if lies_inside(work, source):
            raise UserError(
                f"IMAGE_RETRIEVAL_WORK_URI {work} lies inside the source {source} of collection {name!r}: {WHY}"
            )
        for part, held in NO_SOURCES.items():
            folder = folder_in(work, part)
            if lies_inside(source, folder):
                raise UserError(
                    f"source {source} of collection {name!r} lies inside {folder}, where {held}: "
                    "choose another prefix or bucket"
                )


def require_export_apart(connection: Connection, collection: Collection, uri: str, settings: Settings) -> None:
    """Raise UserError if an export to a URI would lie in a source, or in a part of the work folder."""
    _require_outside(uri, _sources(connection, collection, settings), settings)


def require_apart_from_all(uri: str, settings: Settings) -> None:
    """The same without a database: of the sources in collections.yaml."""
    path = settings.collections_path
    sources = {name: entry.source for name, entry in (load_collections(path) if path.is_file() else {}).items()}
    _require_outside(uri, sources, settings)


def _require_outside(uri: str, sources: dict[str, str], settings: Settings) -> None:
    for name, source in sources.items():
        if lies_inside(uri, tars_folder(source) if is_pattern(source) and lists_tars(source) else source):
            raise UserError(f"{uri} lies inside the source {source} of collection {name!r}: choose another folder")
    for part in PARTS:
        folder = folder_in(settings.work_uri, part)
        if lies_inside(uri, folder):
            raise UserError(f"{uri} lies inside {folder}, whose files are deleted after runs: choose another folder")


def _sources(connection: Connection, collection: Collection, settings: Settings) -> dict[str, str]:
    """The sources of all collections; that of this one as given here."""
    path = settings.collections_path
    known = (load_collections(path) if path.is_file() else {}) | made_collections(connection)
    return {name: entry.source for name, entry in (known | {collection.name: collection}).items()}
