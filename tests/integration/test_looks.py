"""Images are found and counted by what they look like."""

import psycopg
import pytest

from image_retrieval.pipeline.running import run_collection
from integration.pictures import SCENES, put
from integration.tables import rows


@pytest.fixture
def things(project, collection, store):
    put(store, collection.source, dict(list(SCENES.items())[:12]))
    run_collection(collection, "run", project)


def found(url, filter):
    any_vector = "(SELECT embedding FROM images.things LIMIT 1)"
    query = f"SELECT image_id FROM images.search('things', {any_vector}, 100, %s::jsonb) ORDER BY 1"
    return rows(url, query, filter)


@pytest.mark.parametrize(
    ("filter", "condition"),
    [
        ('{"colour": "red"}', "'red' = ANY (colours)"),
        ('{"colour": {"any": ["blue", "green"]}}', "'blue' = ANY (colours) OR 'green' = ANY (colours)"),
        ('{"not": {"colour": "red"}}', "NOT 'red' = ANY (colours)"),
        ('{"colour": null}', "colours IS NULL"),
        ('{"aspect": {"gte": 1.0, "lt": 1.5}}', "aspect >= 1.0 AND aspect < 1.5"),
        ('{"orientation": "landscape"}', "width > height"),
        ('{"orientation": {"any": ["square", "portrait"]}}', "width <= height"),
        ('{"complexity": {"lt": 0.05}}', "complexity < 0.05"),
        ('{"sharpness": {"gt": 5}, "colour": "white"}', "sharpness > 5 AND 'white' = ANY (colours)"),
    ],
)
def test_filters_on_looks_are_conditions_on_the_view(things, database_url, filter, condition):
    assert found(database_url, filter) == rows(
        database_url, f"SELECT image_id FROM images.things WHERE {condition} ORDER BY 1"
    )


@pytest.mark.parametrize(
    ("filter", "told"),
    [
        ('{"colour": 3}', 'filter: "colour" takes a text, not 3'),
        ('{"colour": {"gt": "red"}}', 'filter: "colour" is a text and has no operator "gt"; it has any'),
        (
            '{"colour": {"match": "red"}}',
            'filter: "colour" has no operator "match": that is for "caption" and attributes',
        ),
        ('{"aspect": "wide"}', 'filter: "aspect" takes a number, not "wide"'),
    ],
)
def test_wrong_filters_are_told(things, database_url, filter, told):
    with pytest.raises(psycopg.errors.RaiseException) as error:
        found(database_url, filter)
    assert error.value.diag.message_primary == told


def test_facets_count_what_the_view_shows(things, database_url):
    facets = rows(database_url, "SELECT * FROM images.facets('things')")
    counted = rows(
        database_url,
        "SELECT colour, count(*) FROM images.things, unnest(colours) AS colour GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    assert [(value, images) for facet, value, images in facets if facet == "colour"] == counted
    assert {facet for facet, _, _ in facets} >= {"colour", "format", "orientation"}
    red = rows(database_url, """SELECT images FROM images.facets('things', '{"colour": "red"}') WHERE value = 'red'""")
    assert red == [(dict(counted)["red"],)]
    assert rows(database_url, "SELECT count(*) FROM images.facets('things', most => 1) WHERE facet = 'colour'") == [
        (1,)
    ]
