"""The index of a vector table: decides whether the table needs one, and builds it while people search and load.

A search scans small tables exactly. Larger ones have an HNSW index (Malkov and Yashunin, 2016, as pgvector builds it)
on the vectors in half precision, or on their signs alone. Loads update it by plain inserts. If the table has outgrown
the index, or much of it is dead, a new one is built beside it and takes its name.
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
from image_retrieval.store.rows import fetch_column, fetch_one, fetch_optional, fetch_value
from image_retrieval.store.sql import statement

OPERATOR_CLASSES = {"cosine": "halfvec_cosine_ops", "inner_product": "halfvec_ip_ops", "l2": "halfvec_l2_ops"}
BIT_CLASS = "bit_hamming_ops"
DENSE_FROM = 100_000  # vectors; with 400,000, a sparse graph always missed 1 % of the nearest: docs/decisions.md
GROWN = 0.5  # vectors inserted since the build, as a share of those at the build
DEAD = 0.2  # dead rows, as a share of all: scans read them, and vacuum repairs the graph around each
MEMORY_MARGIN = 1.1
LEAST_MEMORY_MB = 64
WORKER_MEMORY_MB = 32  # PostgreSQL's plan_create_index_workers uses fewer workers if each had less
REMOTE_MEMORY_MB = 1024
SECONDS_BETWEEN_REPORTS = 5.0
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")

log = structlog.get_logger()


class Graph(NamedTuple):
    """The parameters of an HNSW graph in pgvector."""

    m: int  # neighbours of each element; twice as many in the ground layer
    ef_construction: int  # candidates from which they are chosen


SPARSE, DENSE = Graph(16, 64), Graph(24, 128)


@dataclass(frozen=True, slots=True)
class TableState:
    """What a vector table has, what it is to have, and what the server can give: all that a plan rests on."""

    rows: int
    dead: int  # rows that vacuum has not removed yet
    dimensions: int
    index_class: str | None  # operator class of the existing valid index
    index_m: int | None  # of that index
    built_rows: int | None  # vectors when that index was built; None if unknown
    wanted_class: str
    least_rows: int  # smaller tables have no index
    memory_limit_mb: int
    workers: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What the database tells: columns of the statement `read_state`."""

    rows: int
    dead: int
    dimensions: int
    index_class: str | None
    index_m: int | None
    is_replacement: bool  # meanwhile searches are answered by another model's vectors
    built_rows: int | None
    server_memory_mb: int
    server_workers: int


@dataclass(frozen=True, slots=True)
class _BuildProgress:
    phase: str
    tuples_done: int


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """What to do, and why."""

    action: Literal["scan", "keep", "build", "rebuild"]
    reason: str
    graph: Graph = SPARSE
    memory_mb: int = LEAST_MEMORY_MB
    workers: int = 0


def graph_of(rows: int) -> Graph:
    """The graph for this number of vectors: a denser one takes twice the time to build."""
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


def plan_index(state: TableState) -> IndexPlan:
    """The best plan for a vector table."""
    inserted = state.rows - state.built_rows if state.built_rows is not None else 0
    is_right = state.index_class == state.wanted_class
    dead_share = state.dead / max(1, state.rows + state.dead)
    if not is_right and state.rows < state.least_rows:
        return IndexPlan("scan", f"exact scan: {state.rows} vectors are fewer than {state.least_rows}")
    if is_right and dead_share > DEAD:
        why = f"{dead_share:.0%} of its rows are dead"
    elif is_right and inserted > GROWN * (state.built_rows or 0):
        why = f"{inserted} vectors were added to the {state.built_rows} over which it was built"
    elif is_right and (state.index_m or 0) < graph_of(state.rows).m:
        why = f"its m = {state.index_m} is too small for this many"
    elif is_right:
        return IndexPlan("keep", f"the index is up to date: {state.rows} vectors")
    elif state.index_class is not None:
        why = f"it is built for {state.index_class}, but {state.wanted_class} is wanted"
    else:
        why = "there is none"
    needed = round(graph_bytes(state.rows, state.dimensions, state.wanted_class) * MEMORY_MARGIN / 2**20)
    memory = max(LEAST_MEMORY_MB, min(needed, state.memory_limit_mb))
    workers = max(0, min(state.workers, memory // WORKER_MEMORY_MB - 1))
    fits = f"in {memory} MB" if needed <= memory else f"which needs {needed} MB and has {memory}: it will be slow"
    graph = graph_of(state.rows)
    how = f"m = {graph.m}, ef_construction = {graph.ef_construction}, {fits}, with {workers} parallel workers"
    reason = f"building an index over {state.rows} vectors, since {why}: {how}"
    return IndexPlan("rebuild" if state.index_class else "build", reason, graph, memory, workers)


def ensure_index(collection: Collection, settings: Settings) -> IndexPlan:
    """Plan the index of the collection's vector table, and carry the plan out. Returns the plan.

    Only one task at a time works on a table, and it removes what a killed build left. Readers and writers never wait,
    except behind a pooler: there everything is one transaction, so loads wait for a build.
    """
    vectors, is_logged = collection.vector_table, False
    while True:
        # each try has its own transaction: CREATE INDEX CONCURRENTLY waits for the snapshots of open ones
        with connect(settings) as connection:
            if not is_pooled(connection):
                connection.commit()
                connection.autocommit = True
            lock = {"vectors": vectors, "local": not connection.autocommit}
            if fetch_value(connection, statement("indexing", "try_lock"), lock):
                return _ensure_index(connection, collection, settings)
        if not is_logged:
            log.info("another task works on this index: waiting", vectors=vectors)
            is_logged = True
        time.sleep(1)


def _ensure_index(connection: Connection, collection: Collection, settings: Settings) -> IndexPlan:
    """Do so under the lock of the index, which lasts until the session ends, or behind a pooler the transaction."""
    vectors = collection.vector_table
    index, new, old = (f"{collection.space.index}{suffix}" for suffix in ("", "2", "1"))
    names = {"vectors": vectors, "names": [new, old]}
    for leftover in fetch_column(connection, statement("indexing", "find_leftovers"), names):
        log.warning("removing the remains of an interrupted build", index=leftover)
        _drop(connection, leftover)
    state = _read_state(connection, collection, settings)
    plan = plan_index(state)
    log.info("index", plan=plan.reason)
    if plan.action == "keep" and state.built_rows is None:
        _note(connection, vectors, state, 0)
    elif plan.action in ("build", "rebuild"):
        started = time.monotonic()
        _build(connection, collection, state, plan, new, settings)
        _note(connection, vectors, state, time.monotonic() - started)
        with connection.transaction():  # renaming blocks neither readers nor writers
            connection.execute(statement("indexing", "rename_index", index=index, becomes=old))
            connection.execute(statement("indexing", "rename_index", index=new, becomes=index))
    connection.execute(statement("indexing", "analyse_vectors", vectors=vectors))
    connection.execute(statement("indexing", "analyse_images"))
    if plan.action != "keep":  # last: a transaction that has dropped an index blocks readers until it ends
        _drop(connection, index if plan.action == "scan" else old)
    return plan


def _concurrently(connection: Connection) -> sql.SQL:
    """The keyword CONCURRENTLY, unless the connection is in a transaction."""
    return sql.SQL("CONCURRENTLY" if connection.autocommit else "")


def _drop(connection: Connection, index: str) -> None:
    connection.execute(statement("indexing", "drop_index", index=index, concurrently=_concurrently(connection)))


def _read_state(connection: Connection, collection: Collection, settings: Settings) -> TableState:
    vectors = collection.vector_table
    names = {"collection": collection.name, "model": collection.model.name}
    parameters = {"vectors": vectors, "index": collection.space.index, **names}
    found = fetch_one(connection, _Found, statement("indexing", "read_state", vectors=vectors), parameters)
    memory, workers = max(REMOTE_MEMORY_MB, found.server_memory_mb), found.server_workers
    if connection.info.host in LOCAL_HOSTS:
        is_searched = found.is_replacement or found.index_class is not None
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**22  # a quarter, in MB
        workers = len(os.sched_getaffinity(0)) - 1 - is_searched  # leaves a core for searches
    return TableState(
        rows=found.rows,
        dead=found.dead,
        dimensions=found.dimensions,
        index_class=found.index_class,
        index_m=found.index_m,
        built_rows=found.built_rows,
        wanted_class=BIT_CLASS if collection.quantized else OPERATOR_CLASSES[collection.distance],
        least_rows=settings.index_from_rows,
        memory_limit_mb=settings.index_memory_mb or memory,
        workers=workers,
    )


def _note(connection: Connection, vectors: str, state: TableState, seconds: float) -> None:
    row = {"vectors": vectors, "rows": state.rows, "seconds": seconds}
    connection.execute(statement("indexing", "note_built"), row)


def _build(
    connection: Connection, collection: Collection, state: TableState, plan: IndexPlan, index: str, settings: Settings
) -> None:
    vectors, concurrently = collection.vector_table, _concurrently(connection)
    m, candidates = plan.graph
    if state.wanted_class == BIT_CLASS:
        build = statement(
            "indexing",
            "build_bit_index",
            concurrently=concurrently,
            index=index,
            vectors=vectors,
            dimensions=state.dimensions,
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
            operator_class=state.wanted_class,
            m=m,
            candidates=candidates,
        )
    is_whole = not connection.autocommit  # everything is one transaction, which a failed build must not abort
    limits = {"memory_mb": plan.memory_mb, "workers": plan.workers, "local": is_whole}
    pid = fetch_value(connection, statement("indexing", "prepare_session"), limits)
    with _progress(pid, state.rows, settings):
        try:
            with connection.transaction() if is_whole else nullcontext():
                connection.execute(build)
        except psycopg.errors.DiskFull:
            # parallel workers share the graph in /dev/shm, which is often small in containers
            log.warning("the server's shared memory is too small for parallel workers: building without them")
            _drop(connection, index)
            connection.execute(statement("indexing", "prepare_session"), {**limits, "workers": 0})
            connection.execute(build)


@contextmanager
def _progress(pid: int, rows: int, settings: Settings) -> Iterator[None]:
    """Log the progress of a build every few seconds."""
    done = threading.Event()

    def report() -> None:
        with suppress(UserError), session(settings) as connection:  # without a free connection, there is no log
            while not done.wait(SECONDS_BETWEEN_REPORTS):
                found = fetch_optional(connection, _BuildProgress, statement("indexing", "read_progress"), {"pid": pid})
                if found:
                    log.info("index build", phase=found.phase, done=f"{min(1, found.tuples_done / rows):.0%}")

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
