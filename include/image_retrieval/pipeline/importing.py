"""Import: loads vectors that were made elsewhere from Parquet into a collection."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.apart import require_apart
from image_retrieval.pipeline.dataset import Manifest, folder_of, read_manifest
from image_retrieval.pipeline.describing import describe_listed
from image_retrieval.pipeline.listing import copy_listing, require_declared
from image_retrieval.pipeline.pending import finish_pending
from image_retrieval.settings import Settings
from image_retrieval.shards import VECTORS_PER_GROUP, reading, table_of
from image_retrieval.store import datasets, listings, loading, models, vector_tables
from image_retrieval.store.collections import dropped_meanwhile
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.locks import lock_collection

EXAMPLES = 10  # bad rows that are named; the others are only counted
UNIT = 2**-10  # the largest deviation from length 1 that half precision causes
# columns that a data set may have, and their names in `retrieval.image`
FACTS = {
    **{name: name for name in ("sha256", "width", "height", "format", "phash", "captured_at")},
    "resampled_image_path": "resampled_uri",
}
Vectors = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Bad = Callable[[str, Any], None]


class ImportReport(TypedDict):
    """Rows of a data set, counted: those rejected by reason, and `examples` of these."""

    rows: int
    written: int
    unchanged: int
    rejected: dict[str, int]
    examples: list[str]


def import_collection(
    collection: Collection,
    uri: str,
    settings: Settings,
    *,
    model: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> ImportReport:
    """Load a data set's vectors into a collection, all or nothing. Unusable rows are left out and counted.

    `model` names the model that made the vectors if the data set does not say so. Raises UserError if it is not the
    collection's own, or if the data set as a whole does not fit.
    """
    with connect(settings) as connection:
        collection = models.current(connection, collection)
    store = ObjectStore(settings)
    folder = folder_of(uri)
    manifest = None if uri.endswith(".parquet") else read_manifest(store, folder)
    description = describe(model_folder(collection.model.source, collection.model.revision, settings, weights=False))
    _require_model(collection, manifest, model, description.dimensions, uri)
    rejected: Counter[str] = Counter()
    report: ImportReport = {"rows": 0, "written": 0, "unchanged": 0, "rejected": {}, "examples": []}
    with connect(settings) as connection:
        lock_collection(connection, collection.name)
        require_apart(connection, collection, settings)
        require_declared(connection, collection)
        finish_pending(connection, collection.name, settings, anew=True)
        models.register_model(connection, collection, description)
        _record_digest(connection, collection, manifest, uri)
        vector_tables.ensure_vector_table(connection, collection, description.dimensions)
        copy_listing(connection, collection, store, settings)
        describe_listed(connection, collection, store, settings)
        datasets.index_listed(connection)
        listings.register_listed(connection, collection.name)
        for place, first, batch in _batches(store, _files(store, uri, manifest)):

            def bad(reason: str, rows: Any, place: str = place, first: int = first) -> None:
                if len(rows):
                    rejected[reason] += len(rows)
                room = EXAMPLES - len(report["examples"])
                report["examples"] += [f"{place} row {first + int(row)}: {reason}" for row in rows[:room]]

            images, vectors = _usable(connection, collection, batch, description.dimensions, bad)
            written = loading.load_vectors(connection, collection, images, vectors) if len(images) else 0
            report["rows"] += len(batch)
            report["written"] += written
            report["unchanged"] += len(images) - written
            progress(len(batch))
        if report["rows"] and not report["written"] + report["unchanged"]:
            raise UserError(f"{uri} has no row that fits collection {collection.name!r}: {report['examples'][0]}")
    with dropped_meanwhile(collection.name, settings):
        ensure_index(collection, settings)
        with connect(settings) as connection:
            vector_tables.show_in_view(connection, collection, description.dimensions, complete=False)
    return {**report, "rejected": dict(rejected)}


def _require_model(
    collection: Collection, manifest: Manifest | None, model: str | None, dimensions: int, uri: str
) -> None:
    named = model or (manifest["model"].get("name") if manifest is not None else None)
    if named is None:
        raise UserError(f"{uri} does not say which model made its vectors: name it with --model")
    if named != collection.model.name:
        raise UserError(
            f"the vectors of {uri} were made by model {named!r}, but collection {collection.name!r} has "
            f"{collection.model.name!r}: they are not comparable"
        )
    if manifest is None:
        return
    if not manifest["complete"]:
        raise UserError(f"{uri} is not complete: run its export again")
    if manifest["dimensions"] != dimensions:
        raise UserError(
            f"the vectors of {uri} have {manifest['dimensions']} dimensions, but those of model "
            f"{collection.model.name!r} {dimensions}: they are not comparable"
        )


def _record_digest(connection: Connection, collection: Collection, manifest: Manifest | None, uri: str) -> None:
    """Record the data set's digest for the collection's model, or compare it with the recorded one."""
    digest = manifest["model"].get("digest") if manifest is not None else None
    if digest is None:
        return
    known = models.known_digest(connection, collection.model.name)
    if known not in (None, digest):
        raise UserError(
            f"the vectors of {uri} were made with other files of model {collection.model.name!r} (digest "
            f"{str(digest)[:12]}…) than those of collection {collection.name!r} ({str(known)[:12]}…): "
            "they are not comparable"
        )
    models.record_digest(connection, collection, digest)


def _files(store: ObjectStore, uri: str, manifest: Manifest | None) -> list[str]:
    """The Parquet files of a data set. Raises UserError if there are none."""
    if uri.endswith(".parquet"):
        return [uri]
    if manifest is not None:
        return [folder_of(uri) + part["file"] for part in manifest["parts"]]
    found = {entry.uri for page in store.pages(folder_of(uri)) for entry in page if entry.key.endswith(".parquet")}
    if not found:
        raise UserError(f"{uri} has no Parquet file: give a folder of them, or one that ends in .parquet")
    return sorted(found)


def _batches(store: ObjectStore, files: list[str]) -> Iterator[tuple[str, int, pa.Table]]:
    """Each file's rows in batches, each with its file and the number of its first row there, from 0."""
    for uri in files:
        try:
            with reading(store, uri) as file:
                names = set(file.schema_arrow.names)
                missing = {"image_path", "image_embedding"} - names
                if missing:
                    raise UserError(f"{uri} has no column {', '.join(sorted(missing))}: see docs/dataset.md")
                wanted = [name for name in ("image_path", "image_embedding", *FACTS) if name in names]
                first = 0
                for batch in file.iter_batches(VECTORS_PER_GROUP, columns=wanted):
                    yield uri, first, pa.Table.from_batches([batch])
                    first += len(batch)
        except pa.ArrowInvalid as error:
            raise UserError(f"{uri} cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from None


def _usable(
    connection: Connection, collection: Collection, batch: pa.Table, dimensions: int, bad: Bad
) -> tuple[pa.Table, pa.ChunkedArray]:
    """The loadable images of a batch with their known facts, and their vectors, of length 1."""
    numbers, vectors = _vectors(batch["image_embedding"], dimensions, bad)
    paths = np.asarray(batch["image_path"].cast(pa.string()).to_pylist(), object)[numbers]
    has_path = np.array([path is not None and "\0" not in path for path in paths], bool)
    bad("has no usable image_path", numbers[~has_path])
    numbers, vectors, paths = numbers[has_path], vectors[has_path], paths[has_path]
    _, firsts = np.unique(paths, return_index=True)
    once = np.isin(np.arange(len(paths)), firsts)
    offered = pa.table({"number": pa.array(np.arange(len(paths))[once]), "uri": pa.array(paths[once], pa.string())})
    rows = datasets.find_offered(connection, collection.name, offered)
    chosen = np.array([row.number for row in rows], np.int64)
    lost = np.setdiff1d(np.arange(len(paths)), chosen)
    bad(f"is not an object of {collection.source}, or came before", numbers[lost])
    known = table_of(rows, pa.schema(loading.COLUMNS.items()))
    images = _with_facts(known, batch.take(pa.array(numbers[chosen])))
    values = pa.array(vectors[chosen].reshape(-1))
    return images, pa.chunked_array([pa.FixedSizeListArray.from_arrays(values, dimensions)])


def _with_facts(known: pa.Table, given: pa.Table) -> pa.Table:
    """The facts of the images; those of the data set take precedence over the known ones."""
    for name in set(FACTS) & set(given.column_names):
        position = known.column_names.index(FACTS[name])
        kind = known.schema.field(position).type
        try:
            column = given[name].cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise UserError(f"column {name} holds {given[name].type}, not {kind}: see docs/dataset.md") from None
        known = known.set_column(position, FACTS[name], pc.coalesce(column, known[position]))
    return known


def _vectors(column: pa.ChunkedArray, dimensions: int, bad: Bad) -> tuple[Any, Vectors]:
    """The rows with usable vectors, and their vectors, of length 1."""
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise UserError(f"column image_embedding holds {kind}, not lists of numbers: see docs/dataset.md")
    try:
        lists = column.cast(pa.list_(pa.float32())).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UserError(f"column image_embedding holds {kind}, not lists of numbers: see docs/dataset.md") from None
    fits = pc.fill_null(pc.equal(pc.list_value_length(lists), dimensions), False).to_numpy(zero_copy_only=False)
    bad(f"does not have {dimensions} dimensions", np.flatnonzero(~fits))
    numbers = np.flatnonzero(fits)
    values = lists.take(pa.array(numbers)).flatten().to_numpy(zero_copy_only=False).reshape(-1, dimensions)
    finite = np.isfinite(values).all(axis=1)
    bad("is not finite", numbers[~finite])
    numbers, values = numbers[finite], values[finite].astype(np.float32)
    lengths = np.linalg.norm(values.astype(np.float64), axis=1)
    long = lengths > 0
    bad("has only zeros", numbers[~long])
    numbers, values, lengths = numbers[long], values[long], lengths[long]
    scale = np.where(np.abs(lengths - 1) > UNIT, lengths, 1.0)
    return numbers, (values / scale[:, None]).astype(np.float32)
