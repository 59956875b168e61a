"""Measures what the ways of a search with a filter cost on a collection: its searches choose by that."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from pgvector import HalfVector
from psycopg import sql
from psycopg.types.json import Jsonb

from image_retrieval.collection import Collection
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.rows import fetch_one, fetch_value
from image_retrieval.store.sql import statement

TURNS = 5  # of which the median counts
SAMPLED = 1000  # vectors that are compared by their ids
SCANNED = 20_000  # images that are read
CANDIDATES = 1000  # of the index, at once; thrice as many as a search wants
OPERATORS = {"cosine": "<=>", "inner_product": "<#>", "l2": "<->"}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Sampled:
    ids: list[int] | None
    query: HalfVector | None


def measure_costs(collection: Collection, settings: Settings) -> dict[str, float] | None:
    """Measure and store what searches of the collection cost, in microseconds. Returns it; None without an index.

    `candidate`: to ask the index of the vectors for one candidate more, and look at its image; `vector`: to find a
    vector by id and compare it; `unit`: a unit of the planner's costs, by a scan of some images.
    """
    names = {"collection": collection.name, "model": collection.model.name}
    with connect(settings) as connection:
        connection.execute(statement("costs", "prepare_session"))
        if not fetch_value(connection, statement("recall", "has_index"), {"vectors": collection.vector_table}):
            return None
        rows: int = fetch_value(connection, statement("filters", "count_images"), {"vectors": collection.vector_table})
        share = {"percent": min(100, 500 * SAMPLED / max(1, rows)), "rows": SAMPLED}
        sampled = fetch_one(connection, _Sampled, statement("costs", "sample", vectors=collection.vector_table), share)
        if not sampled.ids:
            return None
        costs = {
            "candidate": _candidate(connection, {**names, "query": sampled.query}),
            "vector": _vector(connection, collection, sampled),
            "unit": _unit(connection, collection.name),
        }
        connection.execute(statement("costs", "write"), {**names, "costs": Jsonb(costs)})
    log.info("costs of searches with filters, in microseconds", **costs)
    return costs


def _candidate(connection: Connection, asked: Mapping[str, object]) -> float:
    """Of many candidates over few, so that what every search costs is left out."""

    def ask(candidates: int) -> Callable[[], object]:
        given = {**asked, "k": candidates // 3, "ef": candidates}
        return lambda: connection.execute(statement("costs", "ask_index"), given)

    few = CANDIDATES // 10
    return max(0.1, round((_microseconds(ask(CANDIDATES)) - _microseconds(ask(few))) / (CANDIDATES - few), 2))


def _vector(connection: Connection, collection: Collection, sampled: _Sampled) -> float:
    operator = sql.SQL(OPERATORS[collection.distance])
    compare = statement("costs", "compare", vectors=collection.vector_table, operator=operator)
    given = {"ids": sampled.ids, "query": sampled.query}
    return max(0.1, round(_microseconds(lambda: connection.execute(compare, given)) / len(sampled.ids or "1"), 2))


def _unit(connection: Connection, collection: str) -> float:
    images: int = fetch_value(connection, statement("filters", "count_images"), {"vectors": "image"})
    asked = {"percent": min(100, 100 * SCANNED / max(1, images)), "collection": collection}
    scan = statement("costs", "scan")
    plan = fetch_value(connection, statement("costs", "explain_scan", scan=scan), asked)
    cost: float = plan[0]["Plan"]["Total Cost"]
    return max(0.01, round(_microseconds(lambda: connection.execute(scan, asked)) / cost, 3))


def _microseconds(work: Callable[[], object]) -> float:
    work()  # warm
    spent = []
    for _ in range(TURNS):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return statistics.median(spent) * 1e6
