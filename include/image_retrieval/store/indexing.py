"""The index of a vector table: what is best for the table, and how it comes about while people search and load.

A search scans small tables exactly. Larger ones have an HNSW index (Malkov and Yashunin, 2016, as pgvector builds it)
on the vectors in half precision, or on their signs alone. Loads keep it up by plain inserts. It is built anew beside
the old one, and takes its name, where the table has outgrown it or much of it is dead.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

import psycopg
import structlog
from psycopg import sql

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, connect, session
from image_retrieval.store.preparing import is_pooled
from image_retrieval.store.sql import statement

OPERATOR_CLASSES = {"cosine": "halfvec_cosine_ops", "inner_product": "halfvec_ip_ops", "l2": "halfvec_l2_ops"}
BIT_CLASS = "bit_hamming_ops"
DENSE_FROM = 100_000  # vectors; of 400,000 a sparse graph lost 1 % of the nearest for good: docs/decisions.md
GROWN = 0.5  # inserted since the build, as a share of what it was built over
DEAD = 0.2  # dead rows, as a share of all: scans pass them, and vacuum mends the graph around each of them
MEMORY_MARGIN = 1.1
LEAST_MEMORY_MB = 64
WORKER_MEMORY_MB = 32  # PostgreSQL's plan_create_index_workers takes fewer workers where each had less
REMOTE_MEMORY_MB = 1024
SECONDS_BETWEEN_REPORTS = 5.0
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")

log = structlog.get_logger()


class Graph(NamedTuple):
    """What pgvector builds an HNSW graph with."""

    m: int  # neighbours that each element keeps, twice as many in the ground layer
    ef_construction: int  # candidates that they are chosen from


SPARSE, DENSE = Graph(16, 64), Graph(24, 128)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision rests on."""

    rows: int
    dead: int  # rows that vacuum has not removed yet
    dimensions: int
    index_class: str | None  # operator class of the index that is there and valid
    index_m: int | None  # of that index
    built_rows: int | None  # what that index was built over; None where nobody noted it
    wanted_class: str
    least_rows: int  # smaller tables have no index
    memory_limit_mb: int
    workers: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and why."""

    action: Literal["scan", "keep", "build", "rebuild"]
    reason: str
    graph: Graph = SPARSE
    memory_mb: int = LEAST_MEMORY_MB
    workers: int = 0


def graph_of(rows: int) -> Graph:
    """The graph that so many vectors need: a denser one takes twice the time to build."""
    return DENSE if rows >= DENSE_FROM else SPARSE


def graph_bytes(rows: int, dimensions: int, operator_class: str) -> int:
    """Memory that pgvector needs to build a graph without spilling.

    Sizes are those of the structures in pgvector 0.8's src/hnsw.h, on 64 bits: 128 for HnswElementData; 8 for the list
    of layers; 8 + 16 a neighbour for HnswNeighborArray, 2 m neighbours in the ground layer and m in each higher one,
    of which an element has 1 / (m - 1) on average; and the value with its header.
    """
    m = graph_of(rows).m
    value = 8 + (dimensions // 8 if operator_class == BIT_CLASS else 2 * dimensions)
    neighbours = (8 + 16 * 2 * m) + (8 + 8 + 16 * m) / (m - 1)
    return round(rows * (128 + 8 + neighbours + value))


def plan_index(facts: Facts) -> Plan:
    """What is best for a vector table."""
    inserted = facts.rows - facts.built_rows if facts.built_rows is not None else 0
    is_right = facts.index_class == facts.wanted_class
    dead_share = facts.dead / max(1, facts.rows + facts.dead)
    if not is_right and facts.rows < facts.least_rows:
        return Plan("scan", f"exact scan: {facts.rows} vectors are fewer than {facts.least_rows}")
    if is_right and dead_share > DEAD:
        why = f"{dead_share:.0%} of its rows are dead"
    elif is_right and inserted > GROWN * (facts.built_rows or 0):
        why = f"{inserted} vectors came to the {facts.built_rows} that it was built over"
    elif is_right and (facts.index_m or 0) < graph_of(facts.rows).m:
        why = f"it has m = {facts.index_m}, too few for so many"
    elif is_right:
        return Plan("keep", f"the index is there and was kept up by the inserts: {facts.rows} vectors")
    elif facts.index_class is not None:
        why = f"it is one for {facts.index_class} and {facts.wanted_class} is wanted"
    else:
        why = "there is none"
    needed = round(graph_bytes(facts.rows, facts.dimensions, facts.wanted_class) * MEMORY_MARGIN / 2**20)
    memory = max(LEAST_MEMORY_MB, min(needed, facts.memory_limit_mb))
    workers = max(0, min(facts.workers, memory // WORKER_MEMORY_MB - 1))
    fits = f"in {memory} MB" if needed <= memory else f"which needs {needed} MB and has {memory}: it will be slow"
    graph = graph_of(facts.rows)
    how = f"m = {graph.m}, ef_construction = {graph.ef_construction}, {fits}, with {workers} parallel workers"
    reason = f"an index is built over {facts.rows} vectors, since {why}: {how}"
    return Plan("rebuild" if facts.index_class else "build", reason, graph, memory, workers)


def ensure_index(collection: Collection, settings: Settings) -> Plan:
    """Decide what the collection's vector table needs, and do it. Returns the plan.

    One at a time for each table; what a killed build left is removed. Readers and writers are never kept waiting, but
    behind a pooler, where all is one transaction: there, loads wait for a build.
    """
    vectors = collection.vector_table
    index, new, old = (f"{collection.space.index}{suffix}" for suffix in ("", "2", "1"))
    with connect(settings) as connection:
        if not is_pooled(connection):
            connection.commit()
            connection.autocommit = True
        _lock(connection, vectors)
        leftovers = connection.execute(
            statement("indexing", "find_leftovers"), {"vectors": vectors, "names": [new, old]}
        )
        for row in leftovers.fetchall():
            log.warning("removing what a broken build left", index=row["index"])
            _drop(connection, row["index"])
        facts = _read_facts(connection, collection, settings)
        plan = plan_index(facts)
        log.info("index", plan=plan.reason)
        if plan.action == "keep" and facts.built_rows is None:
            _note(connection, vectors, facts, 0)
        elif plan.action in ("build", "rebuild"):
            started = time.monotonic()
            _build(connection, collection, facts, plan, new, settings)
            _note(connection, vectors, facts, time.monotonic() - started)
            with connection.transaction():  # renaming locks out neither readers nor writers
                connection.execute(statement("indexing", "rename_index", index=index, becomes=old))
                connection.execute(statement("indexing", "rename_index", index=new, becomes=index))
        connection.execute(statement("indexing", "analyse_vectors", vectors=vectors))
        connection.execute(statement("indexing", "analyse_images"))
        if plan.action != "keep":  # last: a transaction that has dropped an index keeps readers out until it ends
            _drop(connection, index if plan.action == "scan" else old)
    return plan


def _concurrently(connection: Connection) -> sql.SQL:
    """The keyword, where the connection can hold no transaction around it."""
    return sql.SQL("CONCURRENTLY" if connection.autocommit else "")


def _drop(connection: Connection, index: str) -> None:
    connection.execute(statement("indexing", "drop_index", index=index, concurrently=_concurrently(connection)))


def _lock(connection: Connection, vectors: str) -> None:
    """Be alone with the index of a table until the session, or the transaction that is all of it, ends."""
    told, row = False, {"vectors": vectors, "local": not connection.autocommit}
    while not (connection.execute(statement("indexing", "try_lock"), row).fetchone() or {})["locked"]:
        if not told:
            log.info("another task is at this index: waiting", vectors=vectors)
            told = True
        time.sleep(1)


def _read_facts(connection: Connection, collection: Collection, settings: Settings) -> Facts:
    vectors = collection.vector_table
    names = {"collection": collection.name, "model": collection.model.name}
    parameters = {"vectors": vectors, "index": collection.space.index, **names}
    row = connection.execute(statement("indexing", "read_facts", vectors=vectors), parameters).fetchone() or {}
    server_memory, server_workers = row.pop("server_memory_mb"), row.pop("server_workers")
    is_searched = row.pop("is_replacement") or row["index_class"] is not None
    memory, workers = max(REMOTE_MEMORY_MB, server_memory), server_workers
    if connection.info.host in LOCAL_HOSTS:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**22  # a quarter, in MB
        workers = len(os.sched_getaffinity(0)) - 1 - is_searched  # a core is left to the searches
    return Facts(
        **row,
        wanted_class=BIT_CLASS if collection.quantized else OPERATOR_CLASSES[collection.distance],
        least_rows=settings.index_from_rows,
        memory_limit_mb=settings.index_memory_mb or memory,
        workers=workers,
    )


def _note(connection: Connection, vectors: str, facts: Facts, seconds: float) -> None:
    row = {"vectors": vectors, "rows": facts.rows, "seconds": seconds}
    connection.execute(statement("indexing", "note_built"), row)


def _build(
    connection: Connection, collection: Collection, facts: Facts, plan: Plan, index: str, settings: Settings
) -> None:
    vectors, concurrently = collection.vector_table, _concurrently(connection)
    m, candidates = plan.graph
    if facts.wanted_class == BIT_CLASS:
        build = statement(
            "indexing",
            "build_bit_index",
            concurrently=concurrently,
            index=index,
            vectors=vectors,
            dimensions=facts.dimensions,
            m=m,
            candidates=candidates,
        )
    else:
        build = statement(
            "indexing",
            "build_index",
            concurrently=concurrently,
            index=index,
            vectors=vectors,
            operator_class=facts.wanted_class,
            m=m,
            candidates=candidates,
        )
    is_whole = not connection.autocommit  # one transaction, which a build that fails must not end
    limits = {"memory_mb": plan.memory_mb, "workers": plan.workers, "local": is_whole}
    row = connection.execute(statement("indexing", "prepare_session"), limits).fetchone() or {}
    with _progress(row["pid"], facts.rows, settings):
        try:
            with connection.transaction() if is_whole else nullcontext():
                connection.execute(build)
        except psycopg.errors.DiskFull:
            # parallel workers share the graph in /dev/shm, which containers often have little of
            log.warning("the server's shared memory is too small for parallel workers: building without them")
            _drop(connection, index)
            connection.execute(statement("indexing", "prepare_session"), {**limits, "workers": 0})
            connection.execute(build)


@contextmanager
def _progress(pid: int, rows: int, settings: Settings) -> Iterator[None]:
    """Log every few seconds how far a build has come."""
    done = threading.Event()

    def report() -> None:
        with suppress(UserError), session(settings) as connection:  # where there is no room for it, it is done without
            while not done.wait(SECONDS_BETWEEN_REPORTS):
                row = connection.execute(statement("indexing", "read_progress"), {"pid": pid}).fetchone()
                if row:
                    log.info("index build", phase=row["phase"], done=f"{min(1, row['tuples_done'] / rows):.0%}")

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
