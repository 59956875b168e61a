"""Own: folders that are one project's alone, marked with its id.

Two projects that wrote to one folder would take each other's pictures for orphans, and remove them. The first one that
writes there leaves its mark, by a conditional write where the store has one; since a store may take no notice of the
condition, the mark is read back, and read again before anything is deleted.
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
    """A folder that is one project's alone: the setting that names it, its URI, and the mark in it."""

    setting: str
    uri: str
    mark: str

    @property
    def mark_uri(self) -> str:
        """The object that holds the id of the project."""
        return f"{self.uri.rstrip('/')}/{self.mark}"


def work_place(settings: Settings) -> Place:
    """Where files of runs and resampled pictures lie."""
    return Place("IMAGE_RETRIEVAL_WORK_URI", settings.work_uri, WORK_MARK)


def pictures_place(settings: Settings) -> Place:
    """Where the originals of collections that were made through the API lie."""
    return Place("IMAGE_RETRIEVAL_SERVICE_SOURCE_URI", settings.service_source_uri, PICTURES_MARK)


def require_own(connection: Connection, place: Place, store: ObjectStore, *, claim: bool = True) -> None:
    """Mark a folder as this project's, unless it is marked; without `claim` it may stay without a mark.

    Raises UserError where it is another project's.
    """
    project = project_id(connection)
    owner = owner_of(place, store)
    if owner is None and claim:
        store.create(place.mark_uri, _text(project))
        owner = owner_of(place, store)
    if owner not in (None, project):
        raise UserError(
            f"{place.setting} {place.uri} is the folder of another project, whose database has the id {owner}, and not "
            f"{project}: give this one another folder; if it takes that project's place: `image-retrieval take-over`"
        )


def take_over(connection: Connection, place: Place, store: ObjectStore) -> bool:
    """Mark a folder that is another project's as this one's. Returns whether it was."""
    try:
        if owner_of(place, store) in (None, project_id(connection)):
            return False
    except UserError as error:
        log.warning("a mark that tells nothing is written anew", reason=str(error))
    store.write(place.mark_uri, _text(project_id(connection)))
    return True


def owner_of(place: Place, store: ObjectStore) -> str | None:
    """The id of the project that has marked a folder, None where none has. Raises UserError for a broken mark."""
    if not store.exists(place.mark_uri):
        return None
    try:
        return str(json.loads(store.read(place.mark_uri))["project"])
    except ObjectFault as error:
        raise UserError(f"{place.mark_uri}, which says whose folder it is, cannot be read: {error}") from None
    except (ValueError, LookupError, TypeError):
        raise UserError(
            f"{place.mark_uri} does not say whose folder it is: `image-retrieval take-over` writes it again"
        ) from None


def _text(project: str) -> bytes:
    return json.dumps({"project": project}).encode()
