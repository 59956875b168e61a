"""The index planner decides by what the table holds and what the server has."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.store.indexing import BIT_CLASS, TableState, graph_bytes, plan_index

COSINE = "halfvec_cosine_ops"
STATE = TableState(
    rows=1_000_000,
    dead=0,
    dimensions=1024,
    index_class=None,
    index_m=None,
    built_rows=None,
    wanted_class=COSINE,
    least_rows=10_000,
    memory_limit_mb=8192,
    workers=3,
)
INDEXED = replace(STATE, index_class=COSINE, index_m=24, built_rows=1_000_000)


@pytest.mark.parametrize(
    ("state", "action", "told"),
    [
        (replace(STATE, rows=9_999), "scan", "9999 vectors are fewer than 10000"),
        (replace(STATE, rows=0), "scan", "exact scan"),
        (STATE, "build", "there is none"),
        (INDEXED, "keep", "is up to date"),
        (replace(INDEXED, rows=5_000), "keep", "up to date"),
        (replace(INDEXED, rows=1_400_000), "keep", "up to date"),
        (replace(INDEXED, rows=1_600_000), "rebuild", "600000 vectors were added to the 1000000"),
        (replace(INDEXED, dead=400_000), "rebuild", "29% of its rows are dead"),
        (replace(INDEXED, dead=100_000), "keep", "up to date"),
        (replace(INDEXED, built_rows=None), "keep", "up to date"),
        (replace(INDEXED, index_m=16), "rebuild", "m = 16 is too small"),
        (replace(INDEXED, index_m=16, rows=99_999), "keep", "up to date"),
        (replace(INDEXED, wanted_class="halfvec_l2_ops"), "rebuild", "for halfvec_cosine_ops, but halfvec_l2_ops"),
        (replace(INDEXED, wanted_class=BIT_CLASS), "rebuild", BIT_CLASS),
        (replace(INDEXED, wanted_class=BIT_CLASS, rows=9), "scan", "fewer"),
    ],
)
def test_the_plan_follows_the_facts(state, action, told):
    plan = plan_index(state)
    assert plan.action == action
    assert told in plan.reason
    assert "\n" not in plan.reason


def test_many_vectors_have_a_dense_graph():
    assert [plan_index(replace(STATE, rows=rows)).graph.m for rows in (10_000, 99_999, 100_000)] == [16, 16, 24]
    assert "m = 24, ef_construction = 128" in plan_index(STATE).reason


def test_memory_is_what_the_graph_needs_where_there_is_so_much():
    plan = plan_index(STATE)
    assert graph_bytes(1_000_000, 1024, COSINE) / 2**20 == pytest.approx(2847, rel=0.02)
    assert plan.memory_mb == pytest.approx(1.1 * 2847, rel=0.02)
    assert plan.workers == 3
    assert "will be slow" not in plan.reason


def test_a_graph_that_does_not_fit_is_told():
    plan = plan_index(replace(STATE, memory_limit_mb=1024))
    assert plan.memory_mb == 1024
    assert "and has 1024: it will be slow" in plan.reason


def test_signs_alone_need_a_quarter_of_the_memory():
    assert graph_bytes(1000, 1024, BIT_CLASS) < 0.32 * graph_bytes(1000, 1024, COSINE)


@given(
    st.builds(
        TableState,
        rows=st.integers(0, 10**9),
        dead=st.integers(0, 10**9),
        dimensions=st.integers(1, 4000),
        index_class=st.sampled_from([None, COSINE, BIT_CLASS]),
        index_m=st.sampled_from([None, 16, 24]),
        built_rows=st.none() | st.integers(0, 10**9),
        wanted_class=st.sampled_from([COSINE, BIT_CLASS]),
        least_rows=st.integers(0, 10**6),
        memory_limit_mb=st.integers(64, 10**6),
        workers=st.integers(0, 64),
    )
)
def test_any_facts_have_a_plan_within_what_the_server_has(state):
    plan = plan_index(state)
    assert 64 <= plan.memory_mb <= max(64, state.memory_limit_mb)
    assert 0 <= plan.workers <= state.workers
    assert (plan.workers + 1) * 32 <= plan.memory_mb or plan.workers == 0
    if plan.action == "keep":
        assert state.index_class == state.wanted_class
    if plan.action == "build":
        assert state.index_class is None
