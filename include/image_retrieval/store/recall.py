"""Measures the recall of searches through an index, and raises `ef_search` to reach a target."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from pgvector import HalfVector

from image_retrieval.collection import Collection
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.rows import fetch_all, fetch_column, fetch_value
from image_retrieval.store.sql import statement

K = 10
QUERIES = 100
NOISE = 0.3  # length of the noise that is added to a vector of length 1: their cosine is then 0.96
EF_SEARCH = (150, 200, 300, 400, 600, 800, 1000)  # pgvector's maximum is 1,000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall@10 of a collection's searches, measured with its `ef_search`."""

    recall: float
    ef_search: int


@dataclass(frozen=True, slots=True)
class _Sampled:
    image_id: str
    embedding: HalfVector


@dataclass(frozen=True, slots=True)
class _Near:
    image_id: str
    similarity: float


def ensure_recall(collection: Collection, settings: Settings, seed: int | None = None) -> Recall | None:
    """Measure recall@10, record it, and raise the collection's `ef_search` until it reaches the target.

    Each measurement adds a row to `retrieval.recall`. If no `ef_search` reaches the target, a warning is logged.
    Returns the last measurement, or None if there is no index and searches are exact.
    """
    names = {"collection": collection.name, "model": collection.model.name}
    with connect(settings) as connection:
        connection.execute(statement("recall", "prepare_session"))
        has_index = fetch_value(connection, statement("recall", "has_index"), {"vectors": collection.vector_table})
        known = fetch_column(connection, statement("recall", "read_ef_search"), names)
        if not has_index or not known:
            log.info("recall is 1: there is no index, so searches are exact")
            return None
        rows = fetch_value(connection, statement("recall", "count_vectors", vectors=collection.vector_table))
        queries = sample_queries(connection, collection, np.random.default_rng(seed))
        exact = [_answer(connection, names, *query, ef=0) for query in queries]
        for ef_search in (*known, *(ef for ef in EF_SEARCH if ef > known[0])):
            recall = _measure(connection, names, queries, exact, ef_search)
            row = {
                "ef_search": ef_search,
                "queries": len(queries),
                "recall": recall,
                "target": collection.recall_target,
            }
            connection.execute(statement("recall", "write_recall"), {**names, **row, "rows": rows})
            log.info("recall", **row)
            if recall >= collection.recall_target:
                break
        connection.execute(statement("recall", "set_ef_search"), {**names, "ef_search": ef_search})
    if recall < collection.recall_target:
        log.warning(
            "recall stays below its target: searches miss some of the nearest images",
            **row,
            advice="turn off `quantized` to raise it, or accept it with a lower `recall_target`",
        )
    return Recall(recall, ef_search)


def sample_queries(
    connection: Connection, collection: Collection, rng: np.random.Generator
) -> list[tuple[str, "np.ndarray[Any, Any]"]]:
    """Queries near stored vectors, like those of new pictures, each with the image that it was made from.

    A stored vector itself would be too easy: a search that reaches it finds its neighbours along its own links.
    """
    query = statement("recall", "sample", view=collection.face)
    queries = []
    for image in fetch_all(connection, _Sampled, query, {"queries": QUERIES}):
        vector = np.asarray(image.embedding.to_list(), np.float32)
        noise = rng.standard_normal(len(vector)).astype(np.float32)
        length = float(np.linalg.norm(vector))
        queries.append((image.image_id, vector + NOISE * length * noise / np.linalg.norm(noise)))
    return queries


def _answer(
    connection: Connection, names: dict[str, str], image_id: str, query: "np.ndarray[Any, Any]", *, ef: int
) -> dict[str, float]:
    """The nearest images and their similarities; without the image that the query was made from."""
    asked = {**names, "query": HalfVector(query), "k": K + 1, "ef": ef}
    images = fetch_all(connection, _Near, statement("recall", "nearest"), asked)
    return {image.image_id: image.similarity for image in [one for one in images if one.image_id != image_id][:K]}


def _measure(
    connection: Connection,
    names: dict[str, str],
    queries: list[tuple[str, "np.ndarray[Any, Any]"]],
    exact: list[dict[str, float]],
    ef_search: int,
) -> float:
    """The share of the exact results that are found; results exactly as near as the last one count, too."""
    found = 0
    for query, expected in zip(queries, exact, strict=True):
        answer = _answer(connection, names, *query, ef=ef_search)
        least = min(expected.values(), default=0.0)
        found += min(len(expected), sum(1 for similarity in answer.values() if similarity >= least))
    return found / max(1, sum(len(expected) for expected in exact))
