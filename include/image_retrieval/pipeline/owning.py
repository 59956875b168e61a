"""Folders that belong to one project alone, marked with its id.

If two projects wrote to one folder, each would take the other's pictures for orphans and remove them. The first project
that writes there leaves its mark, by a conditional write if the store has one. Since a store may ignore the condition,
the mark is read back, and read again before anything is deleted.
"""

import json
from dataclasses import dataclass

import structlog

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectFault, ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection
from image_retrieval.store.project import project_id

WORK_MARK = "image-retrieval-work.json"
PICTURES_MARK = "image-retrieval-pictures.json"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that belongs to one project: the setting that names it, its URI, and the name of its mark."""

    setting: str
    uri: str
    mark: str

    @property
    def mark_uri(self) -> str:
        """The object that holds the id of the project."""
        return f"{self.uri.rstrip('/')}/{self.mark}"


def work_place(settings: Settings) -> Place:
    """The folder of run files and resampled pictures."""
    return Place("IMAGE_RETRIEVAL_WORK_URI", settings.work_uri, WORK_MARK)


def pictures_place(settings: Settings) -> Place:
    """The folder of the originals of collections made through the API."""
    return Place("IMAGE_RETRIEVAL_SERVICE_SOURCE_URI", settings.service_source_uri, PICTURES_MARK)


def require_own(connection: Connection, place: Place, store: ObjectStore, *, claim: bool = True) -> None:
    """Mark a folder as this project's unless it is marked; without `claim`, an unmarked folder stays unmarked.

    Raises UserError if it belongs to another project.
    """
    project = project_id(connection)
    owner = owner_of(place, store)
    if owner is None and claim:
        store.create(place.mark_uri, _text(project))
        owner = owner_of(place, store)
    if owner not in (None, project):
        raise UserError(
            f"{place.setting} {place.uri} belongs to another project, whose database has the id {owner}, not "
            f"{project}: choose another folder or, if this project replaces that one, run `image-retrieval take-over`"
        )


def take_over(connection: Connection, place: Place, store: ObjectStore) -> bool:
    """Mark another project's folder as this one's. Returns whether it belonged to another."""
    try:
        if owner_of(place, store) in (None, project_id(connection)):
            return False
    except UserError as error:
        log.warning("replacing an unreadable mark", reason=str(error))
    store.write(place.mark_uri, _text(project_id(connection)))
    return True


def owner_of(place: Place, store: ObjectStore) -> str | None:
    """The id of the project that has marked a folder, or None. Raises UserError for a broken mark."""
    if not store.exists(place.mark_uri):
        return None
    try:
        return str(json.loads(store.read(place.mark_uri))["project"])
    except ObjectFault as error:
        raise UserError(f"{place.mark_uri}, which names the folder's project, cannot be read: {error}") from None
    except (ValueError, LookupError, TypeError):
        raise UserError(
            f"{place.mark_uri} does not name the folder's project: `image-retrieval take-over` writes it again"
        ) from None


def _text(project: str) -> bytes:
    return json.dumps({"project": project}).encode()
