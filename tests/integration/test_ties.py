"""Images that are equally similar are found in the order of their ids, so that a page goes on where another ended."""

import pytest

from image_retrieval.store.connection import connect
from image_retrieval.store.search import search
from integration.random_vectors import fill, index

ROWS, ALIKE = 400, 8  # images, and how many different vectors they have


@pytest.fixture
def vectors(project, collection):
    found = fill(
        project, collection, ROWS, lambda number: {"width": 5 if number % 19 == 0 else 1, "group_id": str(number % 30)}
    )
    with connect(project) as connection:
        connection.execute(
            "UPDATE retrieval.vector_things_random AS v SET embedding = o.embedding "
            "FROM retrieval.vector_things_random AS o "
            "WHERE o.id = (SELECT min(id) FROM retrieval.vector_things_random) + v.id %% %s",
            (ALIKE,),
        )
    return found


@pytest.mark.parametrize(
    ("filter", "grouped", "indexed"),
    [(None, False, False), ({"width": 5}, False, False), ({"width": 5}, False, True), (None, True, False)],
)
def test_the_first_of_many_are_those_of_fewer(vectors, project, filter, grouped, indexed):
    if indexed:
        index(project)
    with connect(project) as connection:
        whole = [row["image_id"] for row in search(connection, "things", vectors[0], ROWS, filter, None, grouped)]
        assert len(whole) == (30 if grouped else 22 if filter else ROWS)
        for k in range(1, len(whole), 3):
            found = search(connection, "things", vectors[0], k, filter, None, grouped)
            assert [row["image_id"] for row in found] == whole[:k]
