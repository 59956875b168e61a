"""The pictures of a pack that have texts."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training.packs import read_index, read_pictures
from image_retrieval.training.pairs.texts import Pair, TextSet, language_of, read_pairs, text_set

COLUMNS = ("shard", "offset", "size", "image_id", "uri", "caption", "held_out")
FEWEST, FEWEST_HELD_OUT = 64, 10  # pictures
TEXTS = "texts.jsonl"  # beside the pictures of a pack: their texts, where those are not its captions
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Paired:
    """Pictures with their texts; `index` has a row for each, which `positions` counts in the whole pack.

    `learnt` and `held_out` are numbers of pictures. `near`: for each picture, those to learn from that look alike and
    are not, the nearest first.
    """

    uri: str
    index: pa.Table
    positions: Numbers
    texts: TextSet
    learnt: Numbers
    held_out: Numbers
    near: tuple[Numbers, ...] | None = None

    def pictures(self, store: ObjectStore, wanted: Sequence[int]) -> Iterator[Image.Image]:
        """The pictures of these numbers, in their order."""
        return read_pictures(store, self.uri, self.index, wanted)

    @property
    def learnt_texts(self) -> list[int]:
        """The numbers of the texts that are learnt, ascending."""
        return sorted({text for at in self.learnt for text in self.texts.of_pictures[at].tolist()})

    @property
    def digest(self) -> str:
        """Tells pictures, texts and hard negatives apart."""
        places = [self.index[name].to_pylist() for name in ("shard", "offset", "size", "held_out")]
        near = None if self.near is None else [own.tolist() for own in self.near]
        of_pictures = [own.tolist() for own in self.texts.of_pictures]
        told = [places, self.positions.tolist(), self.texts.texts, self.texts.languages, of_pictures, near]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def write_texts(store: ObjectStore, folder: str, pairs: Sequence[Pair]) -> None:
    """Write the texts of pictures beside them, into the folder of their pack."""
    lines = (json.dumps(pair._asdict(), ensure_ascii=False) for pair in pairs)
    store.write(folder + TEXTS, "\n".join(lines).encode())


def read_paired(store: ObjectStore, folder: str) -> Paired:
    """The pictures of a pack with the texts beside them, or with their captions.

    Raises UserError if it is not complete.
    """
    index = read_index(store, folder, COLUMNS)
    if not store.exists(folder + TEXTS):
        captions = index["caption"].to_pylist()
        texts = [[(own.strip(), language_of(own))] if own and own.strip() else [] for own in captions]
    else:
        of_uris: dict[str, list[tuple[str, str]]] = {}
        for pair in read_pairs(folder + TEXTS, store.read(folder + TEXTS)):
            of_uris.setdefault(pair.uri, []).append((pair.text, pair.language))
        texts = [of_uris.get(uri, []) for uri in index["uri"].to_pylist()]
    kept = [at for at, own in enumerate(texts) if own]
    rows = index.take(pa.array(kept, pa.int64()))
    held_out = rows["held_out"].to_numpy().astype(bool)
    found = text_set([texts[at] for at in kept])
    return Paired(folder, rows, np.array(kept, np.int64), found, np.flatnonzero(~held_out), np.flatnonzero(held_out))


def with_negatives(paired: Paired, negatives: Mapping[str, Sequence[str]]) -> Paired:
    """The same pictures with their hard negatives, given by image id; those that share a text are left out."""
    names = paired.index["image_id"].to_pylist()
    numbers = {names[at]: int(at) for at in paired.learnt}
    near = []
    for at, name in enumerate(names):
        others = [numbers[other] for other in negatives.get(name, ()) if other in numbers]
        own = set(paired.texts.of_pictures[at].tolist())
        near.append(
            np.array([each for each in others if own.isdisjoint(paired.texts.of_pictures[each].tolist())], np.int64)
        )
    return replace(paired, near=tuple(near))


def require_enough(paired: Paired) -> None:
    """Raise UserError if there are too few pictures with texts to learn from, or to judge by."""
    learnt, held_out = len(paired.learnt), len(paired.held_out)
    if learnt < FEWEST:
        raise UserError(f"{paired.uri} has {learnt} pictures with a text to learn from: at least {FEWEST} are needed")
    if held_out < FEWEST_HELD_OUT:
        raise UserError(
            f"{paired.uri} holds out {held_out} pictures with a text: at least {FEWEST_HELD_OUT} are needed to judge by"
        )
