"""Searches with random filters find what brute force finds with the same language in Python."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from image_retrieval.store.connection import connect
from image_retrieval.store.search import search
from integration.filter_language import FILTERS, SMALL, facts, holds, stored
from integration.random_vectors import fill, index, similarities


@pytest.fixture
def small(project, collection):
    vectors = fill(project, collection, SMALL, lambda number: stored(facts(number)))
    index(project)
    return vectors


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(filter=FILTERS, k=st.integers(1, SMALL + 5), grouped=st.booleans(), indexed=st.booleans())
@example(filter={"attributes": {"tags": "all"}}, k=SMALL, grouped=False, indexed=True)
@example(filter={"attributes": {"tags": {"any": ["0", "1"]}}}, k=SMALL, grouped=False, indexed=True)
def test_any_filter_finds_what_brute_force_finds(project, small, filter, k, grouped, indexed):
    query = small[7] + 0.1
    rows = {number: {"image_id": str(number), **facts(number)} for number in range(SMALL)}
    order = np.argsort(-similarities(small, query), kind="stable")
    expected = [number for number in order if holds(filter, rows[number])]
    if grouped:
        seen = {}
        for number in expected:
            seen.setdefault(rows[number]["group_id"] or number, number)
        expected = list(seen.values())
    with connect(project) as connection:
        connection.execute(f"SET LOCAL enable_indexscan = {'on' if indexed else 'off'}".encode())
        found = search(connection, "things", query, k, filter, grouped=grouped)
    cosines = similarities(small, query)
    assert len(found) == min(k, len(expected))
    assert [cosines[int(row["image_id"])] for row in found] == pytest.approx(
        [cosines[number] for number in expected[:k]], abs=2e-3
    )
    assert {int(row["image_id"]) for row in found} <= set(expected) or not grouped
