"""Drop: removes a collection and everything made from it. First the rows, in one transaction, then the objects.

Originals are deleted only on request, and only those of a collection that was made through the API.
"""

from dataclasses import asdict, dataclass

import structlog

from image_retrieval.collection import load_collections
from image_retrieval.containment import lies_inside
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.names import pictures_folder
from image_retrieval.pipeline.owning import pictures_place, require_own, work_place
from image_retrieval.pipeline.pending import former_folder, settle
from image_retrieval.settings import Settings
from image_retrieval.shards import collection_folder, probes_folder
from image_retrieval.store import dropping
from image_retrieval.store.collections import known_collections, made_collections
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.locks import SECONDS_FOR_A_LOCK, try_lock_collection
from image_retrieval.store.pending import Pending, announce, read_pending
from image_retrieval.store.trainings import UNDER_WAY, trainings_of
from image_retrieval.training.records import REPORT_PICTURE

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a collection: rows by kind, vector tables, and objects made from its images.

    `originals` counts the originals to delete: none unless requested.
    """

    images: int
    rejected: int
    runs: int
    switches: int
    verdicts: int
    tables: list[str]
    pictures: int
    work_files: int
    originals: int


def is_known(name: str, settings: Settings) -> bool:
    """Whether the database knows a collection of that name, or remaining files of a dropped one."""
    with connect(settings) as connection:
        return dropping.is_known(connection, name)


def find_contents(name: str, settings: Settings, *, originals: bool = False) -> Contents:
    """What `drop_collection` would remove. Raises the same UserErrors, except those about runs."""
    store = ObjectStore(settings)
    with connect(settings) as connection:
        pictures, *work = own = _made_folders(connection, name, settings)
        rows = asdict(dropping.count_rows(connection, name))
        tables = [table.vectors for table in dropping.vector_tables(connection, name)]
        every = _folders(connection, name, settings, originals=originals)
        sources = ({*every} | _announced(connection, name)) - {*own}
    return Contents(
        **rows,
        tables=tables,
        pictures=_count(store, [pictures]),
        work_files=_count(store, work),
        originals=_count(store, sorted(sources)),
    )


def drop_collection(
    name: str,
    settings: Settings,
    *,
    originals: bool = False,
    force: bool = False,
    patience: float = 0.0,
    seconds: float = SECONDS_FOR_A_LOCK,
) -> list[str]:
    """Remove a collection's view, vectors, rows, kept pictures and work files. Returns the URIs that the store refuses
    to delete.

    `originals`: also delete the originals. `force`: even if a run or a training seems to be under way, as a killed
    one does. `patience`: seconds to wait for a listing to end; `seconds`: to wait for searches. If killed before
    the rows are gone, it has changed nothing; after that, the rest is pending, and the same call, the next upkeep
    or a run of a collection of that name removes it. Raises UserError if it would touch files that are not the
    collection's own, and Unavailable if the collection is in use.
    """
    with connect(settings) as connection:
        if not try_lock_collection(connection, name, patience):
            raise Unavailable(f"collection {name!r} is being listed or changed: try again later")
        for place in (work_place(settings), pictures_place(settings)):
            require_own(connection, place, ObjectStore(settings), claim=False)
        running = dropping.find_running(connection, name)
        if running is not None and not force:
            since = f"{running.started_at:%Y-%m-%d %H:%M}"
            raise Unavailable(
                f"run {running.run_id!r} of collection {name!r} is under way since {since}: let it end; if it was "
                f"killed, `image-retrieval collections drop {name} --force` drops the collection anyway"
            )
        if not force:
            _require_no_training(connection, name)
        folders = _folders(connection, name, settings, originals=originals)
        dropping.forget_collection(connection, name, seconds)
        for folder in folders:
            announce(connection, Pending(name, folder, "empty"))
        for training in trainings_of(connection, name):  # the gate's pictures are the collection's
            announce(connection, Pending(name, training.model + REPORT_PICTURE, "delete"))
    log.info("dropped", collection=name)
    return settle(name, settings)


def _require_no_training(connection: Connection, name: str) -> None:
    """Raise Unavailable if a training learns from the collection, or is judged on it."""
    for training in trainings_of(connection, name):
        if training.state in UNDER_WAY:
            raise Unavailable(
                f"training {training.name!r} of collection {name!r} is under way: let it end; if it was killed, "
                f"`image-retrieval collections drop {name} --force` drops the collection anyway"
            )


def _folders(connection: Connection, name: str, settings: Settings, *, originals: bool) -> list[str]:
    """The folders to empty: those of what was made from the images, and on request the originals."""
    made = made_collections(connection).get(name)
    known = {entry.name: entry.source for entry in known_collections(connection)}
    listed = {entry.name: entry.source for entry in load_collections(settings.collections_path).values()}
    folders = _made_folders(connection, name, settings)
    for owner, source in [*known.items(), *listed.items()]:
        _require_apart(folders, owner, source)
    if not originals or _announced(connection, name) - set(folders):  # an interrupted drop has requested them
        return folders
    if made is None or name in listed:
        raise UserError(f"the originals of collection {name!r} cannot be deleted: it was not made through the API")
    for owner, source in [*known.items(), *listed.items()]:
        if owner != name:
            _require_apart([made.source], owner, source)
    return [*folders, made.source]


def _made_folders(connection: Connection, name: str, settings: Settings) -> list[str]:
    """The folders of kept pictures, work files, copies, probes, and pictures that trainings learn from."""
    return [
        pictures_folder(name, settings),
        collection_folder(settings.work_uri, name),
        former_folder(settings.work_uri, name),
        probes_folder(settings.work_uri, name),
        *(training.pack for training in trainings_of(connection, name)),
    ]


def _announced(connection: Connection, name: str) -> set[str]:
    """The folders that an interrupted drop still has to empty."""
    return {change.uri for change in read_pending(connection, name) if change.kind == "empty"}


def _require_apart(folders: list[str], owner: str, source: str) -> None:
    for folder in folders:
        if lies_inside(folder, source) or lies_inside(source, folder):
            raise UserError(
                f"{folder} would be emptied, but overlaps source {source} of collection {owner!r}: nothing was dropped"
            )


def _count(store: ObjectStore, folders: list[str]) -> int:
    return sum(len(page) for folder in folders for page in store.pages(folder, missing_ok=True))
