"""Drops a training: its row, and on request the folders of its pictures and its model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from image_retrieval.collection import Collection
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.pipeline.pending import empty
from image_retrieval.pipeline.shown import listed_collections
from image_retrieval.settings import Settings
from image_retrieval.store import trainings
from image_retrieval.store.collections import made_collections
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.trainings import UNDER_WAY, Training
from image_retrieval.training.records import RECORD

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is of a training: its state, and the folders of pictures and model, with the number of files."""

    state: str
    pack: str
    model: str
    pictures: int
    model_files: int


def find_contents(name: str, settings: Settings, *, folders: bool, force: bool = False) -> Contents:
    """What there is of a training. Raises the UserErrors of `drop_training`."""
    store = ObjectStore(settings)
    with _droppable(name, settings, folders=folders, force=force) as (_, training):
        counts = [sum(map(len, store.pages(folder, missing_ok=True))) for folder in (training.pack, training.model)]
    return Contents(training.state, training.pack, training.model, *counts)


def drop_training(name: str, settings: Settings, *, folders: bool = False, force: bool = False) -> None:
    """Remove a training's row; `folders`: and its packed pictures and model, which is then no longer known by its name.

    `force`: even if it seems to be under way, as a killed one does. A process that trains into the folder ends. The
    files go before the row: if killed, the same call goes on. Raises UserError if the model is needed, if the work
    folder is another project's, or if the store refuses to delete files, and Unavailable if the training is under way.
    """
    store = ObjectStore(settings)
    with _droppable(name, settings, folders=folders, force=force) as (connection, training):
        if folders:
            store.delete([training.model + RECORD])  # first: by it a process that trains sees that it is to end
            left = [uri for folder in (training.model, training.pack) for uri in empty(folder, store)]
            if left:
                raise UserError(
                    f"the object store refuses to delete {len(left)} files of training {name!r}, such as {left[0]}: "
                    "the training stays; the same command tries again"
                )
            trainings.forget_model(connection, training)
        trainings.forget(connection, name)
    log.info("dropped", training=name, folders=folders)


@contextmanager
def _droppable(name: str, settings: Settings, *, folders: bool, force: bool) -> Iterator[tuple[Connection, Training]]:
    """A training whose row is locked in the transaction of the block."""
    with connect(settings) as connection:
        training = trainings.lock_training(connection, name)
        if training is None:
            raise UserError(f"there is no training {name!r}: see `image-retrieval training list`")
        if training.state in UNDER_WAY and not force:
            raise Unavailable(
                f"training {name!r} is under way: let it end; if it was killed, `image-retrieval training drop {name} "
                "--force` drops it anyway"
            )
        if folders:
            require_own(connection, work_place(settings), ObjectStore(settings), claim=False)
            _require_unused(connection, training, settings)
        yield connection, training


def _require_unused(connection: Connection, training: Training, settings: Settings) -> None:
    """Raise UserError if a collection or another training needs the model."""
    collections = set(trainings.collections_under(connection, training))
    for entry in (*listed_collections(settings, missing_ok=True).values(), *made_collections(connection).values()):
        if training.model in _folders(entry):
            collections.add(entry.name)
    if collections:
        raise UserError(
            f"collection {min(collections)!r} needs the model {training.name!r}: give it another one, and wait until "
            "its former vectors are dropped; without --with-folders, the training goes and its model stays"
        )
    if others := trainings.trainings_that_need(connection, training.model):
        raise UserError(f"training {others[0]!r} is under way and needs the model of {training.name!r}: let it end")


def _folders(entry: Collection) -> set[str]:
    """Where an entry's models lie: that of its images, and those that embed and write its captions."""
    models = [entry.model, entry.text_model, entry.captions and entry.captions.model]
    return {f"{model.source.rstrip('/')}/" for model in models if model}
