"""Packs the pictures that a file of pairs names."""

from pathlib import Path

import pyarrow as pa

from image_retrieval import allowed
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.apart import require_apart_from_all
from image_retrieval.pipeline.candidates import CANDIDATES, require_some, shuffled
from image_retrieval.pipeline.packing import PackOptions, pack
from image_retrieval.pipeline.tar_places import find_places
from image_retrieval.settings import Settings
from image_retrieval.training.packs import PackManifest
from image_retrieval.training.pairs.paired import write_texts
from image_retrieval.training.pairs.texts import Pair, read_pairs

LEAST = 2  # pictures of a set


def read_given(source: str, settings: Settings, wanted: str) -> bytes:
    """The content of the file at a URI or path. Raises UserError if there is none; `wanted` says what to give."""
    uri = source if "://" in source else f"file://{Path(source).resolve()}"
    allowed.require(uri, settings)
    store = ObjectStore(settings)
    if not store.exists(uri):
        raise UserError(f"{source} does not exist: give {wanted}")
    return store.read(uri)


def pairs_of(source: str, settings: Settings) -> list[Pair]:
    """The pairs of a TSV or JSONL file, given by its URI or path. Raises UserError if it cannot be used."""
    found = read_pairs(source, read_given(source, settings, "a TSV or JSONL file of pictures and texts"))
    for pair in found:
        allowed.require(pair.uri, settings)
    return found


def pack_pairs(source: str, pairs: list[Pair], folder: str, options: PackOptions, settings: Settings) -> PackManifest:
    """Pack the pictures of pairs into a folder that ends in `/`, and write the texts beside them.

    A pack that is there and complete keeps its pictures. Returns its manifest.
    """
    uris = list(dict.fromkeys(pair.uri for pair in pairs))

    def candidates() -> pa.Table:
        require_apart_from_all(folder, settings)
        nothing = [None] * len(uris)
        places = find_places(uris, ObjectStore(settings))
        versions, sizes = zip(*(places.get(uri, (None, None)) for uri in uris), strict=True)
        columns = (uris, uris, versions, sizes, nothing, nothing, range(len(uris)))
        arrays = [pa.array(column, field.type) for column, field in zip(columns, CANDIDATES, strict=True)]
        found = pa.Table.from_arrays(arrays, schema=CANDIDATES)
        require_some(found, source, LEAST)
        return shuffled(found, options.seed, options.most)

    manifest = pack(source, folder, options, candidates, settings)
    write_texts(ObjectStore(settings), folder, pairs)
    return manifest
