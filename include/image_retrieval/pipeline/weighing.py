"""Learns the weight of a collection's hybrid searches from queries with right answers."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from image_retrieval.batches import in_batches
from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.models.calibration import text_direction
from image_retrieval.models.digest import require_digest
from image_retrieval.pipeline.pair_files import read_given
from image_retrieval.pipeline.querying import Vector
from image_retrieval.pipeline.shown import Shown, find_shown
from image_retrieval.pipeline.wording import asked_text
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.hybrid import Asked, find_weight, keep_weight, known_ids, search_hybrid
from image_retrieval.strict_json import NotStrict, read_json
from image_retrieval.values import query_text

FIRST = 10  # results that are looked at
WEIGHTS = tuple(round(step / 10, 1) for step in range(11))
LEAST = 20  # queries to learn from and to measure by
BATCH = 32  # texts that a model embeds at once


@dataclass(frozen=True, slots=True)
class Judged:
    """A query, and the image_ids that are right answers to it."""

    text: str
    images: frozenset[str]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What queries say of the weight of vectors: `before` and `after` are nDCG@10 on queries that were held out.

    `gain` is their difference, `error` its standard error; `changed` says whether the gain is larger than that.
    """

    queries: int
    held_out: int
    former: float
    weight: float
    before: float
    after: float
    gain: float
    error: float
    changed: bool


Search = Callable[[Judged, float], Sequence[str]]


def read_judged(name: str, data: bytes) -> list[Judged]:
    """The queries of a file of lines `{"text": …, "images": [image_id, …]}`. Raises UserError that names the line."""
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            try:
                found.append(_judged(read_json(line.decode())))
            except (NotStrict, ValueError, TypeError) as error:
                wanted = '{"text": "two red rings", "images": ["red-ring/0004"]}'
                raise UserError(
                    f"line {number} of {name} is not like {wanted} ({' '.join(str(error).split())[:200]})"
                ) from None
    if len({judged.text for judged in found}) < LEAST:
        raise UserError(f"{name} has {len(found)} queries: at least {LEAST} of different texts are needed")
    return found


def _judged(given: Any) -> Judged:
    if not isinstance(given, dict) or not isinstance(text := given.get("text"), str):
        raise ValueError("text must be a text")
    images = given.get("images")
    if not images or not isinstance(images, list) or not all(isinstance(each, str) for each in images):
        raise ValueError("images must be a list of image_ids")
    return Judged(query_text(text), frozenset(images))


def gain_of(found: Sequence[str], right: frozenset[str]) -> float:
    """The normalised discounted cumulative gain of results, best first (Järvelin and Kekäläinen 2002)."""
    best = sum(1 / math.log2(at + 2) for at in range(min(FIRST, len(right))))
    return sum(1 / math.log2(at + 2) for at, image in enumerate(found[:FIRST]) if image in right) / best


def learn_weight(queries: Sequence[Judged], former: float, search: Search) -> Learnt:
    """The weight that does best on half of the queries, and what it gains on the others.

    `search` returns the image_ids that a query finds under a weight, best first. Of equal weights, the one nearest to
    the former is taken. Equal texts are in the same half.
    """
    ordered = sorted(queries, key=lambda query: hashlib.sha256(query.text.encode()).digest())
    texts = list(dict.fromkeys(query.text for query in ordered))
    learning = set(texts[: len(texts) // 2])
    gains = {
        weight: _gains([query for query in ordered if query.text in learning], weight, search) for weight in WEIGHTS
    }
    weight = max(WEIGHTS, key=lambda each: (round(float(gains[each].mean()), 9), -abs(each - former)))
    others = [query for query in ordered if query.text not in learning]
    before, after = _gains(others, former, search), _gains(others, weight, search)
    gain, error = float((after - before).mean()), float((after - before).std() / math.sqrt(len(others)))
    return Learnt(
        queries=len(queries),
        held_out=len(others),
        former=former,
        weight=weight,
        before=float(before.mean()),
        after=float(after.mean()),
        gain=gain,
        error=error,
        changed=gain > error,
    )


def _gains(queries: Sequence[Judged], weight: float, search: Search) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.array([gain_of(search(query, weight), query.images) for query in queries])


def fit_weight(collection: Collection, source: str, settings: Settings, *, keep: bool = True) -> Learnt:
    """Learn a collection's weight from the file of queries at a path or URI, and keep it if it gains something.

    Raises UserError if the file, or the collection, cannot be used.
    """
    judged = read_judged(source, read_given(source, settings, "a file of queries with right answers"))
    with connect(settings, keep_limits=True) as connection:
        shown = find_shown(connection, settings, collection.name)
        if shown is None:
            raise UserError(
                f"collection {collection.name!r} has no vectors yet: run `image-retrieval run {collection.name}`"
            )
        _require_known(connection, shown, judged, source)
        former = find_weight(connection, shown.name)
    texts = [asked_text(query.text) for query in judged]
    vectors, captions = _vectors(shown, texts, settings), shown.by_captions()
    told, text_model = (_vectors(captions, texts, settings), captions.model.name) if captions else ({}, None)
    with connect(settings, keep_limits=True) as connection:

        def search(query: Judged, weight: float) -> list[str]:
            text = asked_text(query.text)
            direction, caption = text_direction(text), told.get(text)
            asked = Asked(vectors.get(text), query.text, direction, shown.model.name, caption, text_model)
            return [row["image_id"] for row in search_hybrid(connection, shown.name, asked, FIRST, weight=weight)]

        learnt = learn_weight(judged, former, search)
    if keep and learnt.changed:
        with connect(settings) as connection:
            keep_weight(connection, shown.name, learnt.weight)
    return learnt


def _require_known(connection: Connection, shown: Shown, judged: Sequence[Judged], source: str) -> None:
    known = known_ids(connection, shown.name, sorted({image for query in judged for image in query.images}))
    for query in judged:
        if not query.images & known:
            raise UserError(
                f"{source}: no right answer to {query.text[:80]!r} is an image of collection {shown.name!r}"
            )


def _vectors(shown: Shown, texts: Sequence[str], settings: Settings) -> dict[str, Vector]:
    """The vectors (dimensions,) of texts, computed in batches; none if the model reads no texts."""
    if not shown.reads_texts:
        return {}
    from image_retrieval.models.towers import text_tower

    tower = text_tower(shown.model, settings, settings.device)
    require_digest(tower.digest, shown.digest, shown.model.source)
    wanted = [text for text in dict.fromkeys(texts) if text]
    vectors = (vector for batch in in_batches(wanted, BATCH) for vector in tower.embed(list(batch)).numpy())
    return dict(zip(wanted, vectors, strict=True))
