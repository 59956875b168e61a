"""The images that a training set is packed from: those of a collection, or of an index file."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from image_retrieval import allowed
from image_retrieval.allowed import refusal
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.apart import require_apart_from_all, require_export_apart
from image_retrieval.pipeline.tar_places import find_places
from image_retrieval.settings import Settings
from image_retrieval.sources.members import read_members
from image_retrieval.store import training
from image_retrieval.store.connection import connect
from image_retrieval.store.training import Trainable

CANDIDATES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("etag", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("group_id", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("cluster", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of CANDIDATES. `etag` and `size` are None or 0 where only the store knows them."""

    image_id: str
    uri: str
    etag: str | None
    size: int | None
    group_id: str | None
    caption: str | None
    cluster: int


def of_collection(collection: Collection, folder: str, settings: Settings) -> pa.Table:
    """The candidates of a collection, in order of their ids. Images that show the same have one cluster.

    Raises UserError if the set's folder lies in a source, or in a part of the work folder, or if the images are rows of
    a table.
    """
    if collection.columns.image:
        raise UserError(
            f"the images of collection {collection.name!r} are in a table: `training pack` reads objects, so write "
            "them to a folder, a bucket or tars first"
        )
    with connect(settings, snapshot=True) as connection:
        require_export_apart(connection, collection, folder, settings)
        groups = Groups()
        for a, b in training.read_alike(connection, collection.name):
            groups.join(f"image:{a}", f"image:{b}")
        return _table(training.read_trainable(connection, collection.name), groups)


def of_index_file(uri: str, folder: str, settings: Settings) -> pa.Table:
    """The candidates of an index file, in order of their ids; lines that cannot be used are left out.

    Raises UserError if the file may not be read, or the set's folder lies in a source of collections.yaml or in a part
    of the work folder.
    """
    allowed.require(uri, settings)
    require_apart_from_all(folder, settings)
    entry = Collection(name="training", source=uri, model=ModelOptions(name="none", source="none"))
    store, lines = ObjectStore(settings), dict[str, Trainable]()
    for members in read_members(entry, store, partial(refusal, settings=settings)):
        for member in members.rows:
            id = member.id or member.key
            lines.setdefault(
                member.uri, Trainable(id, member.uri, member.etag or "", 0, member.group_id, member.caption)
            )
    for name, (version, size) in find_places(lines, store).items():
        lines[name] = lines[name]._replace(etag=version, size=size)
    return _table([sorted(lines.values())], Groups())


def shuffled(candidates: pa.Table, seed: int, most: int | None) -> pa.Table:
    """The candidates in an order that the seed decides, or the first `most` of that order."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(candidates))
    return candidates.take(pa.array(order[:most]))


def require_some(candidates: pa.Table, source: str, least: int) -> None:
    """Raise UserError if there are fewer candidates than a training needs."""
    if len(candidates) < least:
        raise UserError(f"{source} has {len(candidates)} images to learn from: at least {least} are needed")


class Groups:
    """Which names belong together, directly or through others."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def join(self, a: str, b: str) -> None:
        """Put the groups of two names together."""
        a, b = sorted((self.first(a), self.first(b)))
        if a != b:
            self._parents[b] = a

    def first(self, name: str) -> str:
        """The first name of a name's group, in order of their characters."""
        path = []
        while (parent := self._parents.get(name)) is not None:
            path.append(name)
            name = parent
        for passed in path:
            self._parents[passed] = name
        return name


def _table(batches: Iterable[list[Trainable]], groups: Groups) -> pa.Table:
    rows = list(_joined(batches, groups))
    columns = zip(*rows, strict=True) if rows else [()] * (len(CANDIDATES) - 1)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, CANDIDATES, strict=False)]
    clusters = [_number(groups.first(f"image:{row.image_id}")) for row in rows]
    table = pa.Table.from_arrays([*arrays, pa.array(clusters, pa.int64())], schema=CANDIDATES)
    etag = pc.if_else(pc.equal(table["etag"], ""), pa.scalar(None, pa.string()), table["etag"])
    return table.set_column(2, CANDIDATES.field("etag"), etag)


def _joined(batches: Iterable[list[Trainable]], groups: Groups) -> Iterator[Trainable]:
    for batch in batches:
        for row in batch:
            if row.group_id is not None:
                groups.join(f"group:{row.group_id}", f"image:{row.image_id}")
            yield row


def _number(name: str) -> int:
    """A number of 64 bits for a name, the same everywhere."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True)
