"""Maps in the database: made as a whole, kept in step, the same each time, and read by people and by the page."""

import numpy as np
import psycopg
import pytest

from image_retrieval.pipeline import mapping
from image_retrieval.pipeline.mapping import keep_mapped
from image_retrieval.store import maps
from image_retrieval.store.connection import connect
from integration.random_vectors import DIMENSIONS, fill
from integration.tables import rows

IMAGES = 120
MAP = "SELECT image_id, x, y, cluster FROM images.map('things')"
CLUSTERS = "SELECT number, level, parent, images, image_id, words FROM images.map_clusters('things')"
WORDS = ("a red shoe on grass", "a blue boat at sea", "两个绿色圆形")
ADD = """
WITH added AS (
    INSERT INTO retrieval.image (collection, image_id, uri)
    SELECT 'things', 'new' || n, 'new' || n FROM generate_series(1, %s) AS n RETURNING id
)
INSERT INTO retrieval.vector_things_random (id, etag, embedding)
SELECT a.id, 'e', v.embedding FROM added AS a, (
    SELECT embedding FROM retrieval.vector_things_random AS v JOIN retrieval.image AS i USING (id)
    WHERE image_id = %s) AS v
"""


@pytest.fixture
def entry(change_collection):
    return change_collection(model={"name": "random", "source": "none"})


@pytest.fixture
def few_anchors(monkeypatch):
    monkeypatch.setattr(mapping, "ANCHORS", 60)
    monkeypatch.setattr(mapping, "AT_ONCE", 25)


@pytest.fixture
def things(project, entry, few_anchors):
    """A collection in three groups, each with a caption of its own."""
    fill(project, entry, IMAGES, lambda at: {"caption": WORDS[at % 3], "width": at})
    rng = np.random.default_rng(0)
    middles = rng.standard_normal((3, DIMENSIONS))
    with connect(project) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE retrieval.vector_things_random AS v SET embedding = %s::text::halfvec FROM retrieval.image AS i "
            "WHERE i.id = v.id AND i.image_id = %s",
            [
                (str((middles[at % 3] + 0.1 * rng.standard_normal(DIMENSIONS)).tolist()), str(at))
                for at in range(IMAGES)
            ],
        )
    return entry


def test_a_map_is_made_once_and_the_same_each_time(things, project, database_url):
    assert keep_mapped(things, project) == {"map": "made, since there was none", "placed": IMAGES}
    made = rows(database_url, MAP)
    assert len(made) == IMAGES
    assert rows(database_url, "SELECT count(*) FROM retrieval.map_place WHERE anchor") == [(60,)]
    assert keep_mapped(things, project) == {"map": "as it was", "placed": 0}
    rows(database_url, "DELETE FROM retrieval.map_place RETURNING 1")
    rows(database_url, "DELETE FROM retrieval.map RETURNING 1")
    keep_mapped(things, project)
    assert rows(database_url, MAP) == made


def test_images_that_are_alike_lie_together_and_clusters_tell_of_them(things, project, database_url):
    keep_mapped(things, project)
    places = np.array([(x, y) for _, x, y, _ in rows(database_url, MAP)])
    kinds = np.array([int(name) % 3 for name, *_ in rows(database_url, MAP)])
    near = np.argsort(((places[:, None] - places[None]) ** 2).sum(axis=2), axis=1)[:, 1:9]
    assert (kinds[near] == kinds[:, None]).mean() > 0.95
    clusters = rows(database_url, CLUSTERS)
    first = [each for each in clusters if each[1] == 1]
    assert sum(images for _, _, _, images, _, _ in first) == IMAGES
    told = {int(typical) % 3: set(words) for _, _, _, _, typical, words in first if words}
    assert told[0] <= {"red", "shoe", "on", "grass"}
    assert told[1] <= {"blue", "boat", "at", "sea"}


def test_new_images_are_placed_without_moving_others_until_there_are_many(things, project, database_url):
    keep_mapped(things, project)
    made = rows(database_url, MAP)
    rows(database_url, ADD + " RETURNING 1", 5, "1")
    assert keep_mapped(things, project) == {"map": "new images were placed", "placed": 5}
    after = rows(database_url, MAP)
    assert after[:IMAGES] == made
    [(x, y)] = rows(database_url, "SELECT x, y FROM images.map('things') WHERE image_id = '1'")
    assert all(np.hypot(row[1] - x, row[2] - y) < 0.3 for row in after[IMAGES:])
    counted = "SELECT sum(images) FROM images.map_clusters('things') WHERE level = 1"
    assert rows(database_url, counted) == [(IMAGES + 5,)]
    rows(database_url, ADD.replace("'new'", "'more'") + " RETURNING 1", 9, "1")
    assert keep_mapped(things, project)["map"] == "made, since 14 of 134 images have changed"
    moved = [
        np.hypot(new[1] - old[1], new[2] - old[2]) for old, new in zip(made, rows(database_url, MAP), strict=False)
    ]
    assert np.median(moved) < 0.1


def test_a_changed_image_moves_and_a_deleted_one_goes(things, project, database_url):
    keep_mapped(things, project)
    take = "(SELECT embedding FROM images.things WHERE image_id = '4')"
    rows(
        database_url,
        f"UPDATE retrieval.vector_things_random AS v SET embedding = {take}, etag = 'f' FROM retrieval.image AS i "
        "WHERE i.id = v.id AND image_id = '3' RETURNING 1",
    )
    rows(database_url, "UPDATE retrieval.image SET deleted = now() WHERE image_id = '5' RETURNING 1")
    assert keep_mapped(things, project)["placed"] == 1
    places = {name: np.array([x, y]) for name, x, y, _ in rows(database_url, MAP)}
    assert "5" not in places
    assert np.linalg.norm(places["3"] - places["4"]) < 0.3
    assert rows(database_url, "SELECT late, anchor FROM retrieval.map_place WHERE etag = 'f'") == [(True, False)]


def test_what_breaks_off_changes_nothing_and_the_next_has_the_same_end(things, project, database_url, monkeypatch):
    keep_mapped(things, project)
    made = rows(database_url, MAP), rows(database_url, CLUSTERS)
    rows(database_url, "UPDATE retrieval.map SET images = 1 RETURNING 1")
    rows(database_url, "UPDATE retrieval.map_place SET late = true RETURNING 1")

    def broken(*_given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(maps, "copy_in", broken)
        with pytest.raises(KeyboardInterrupt):
            keep_mapped(things, project)
    assert (rows(database_url, MAP), rows(database_url, CLUSTERS)) == made
    assert keep_mapped(things, project)["map"] == f"made, since {IMAGES} of {IMAGES} images have changed"
    first = rows(database_url, MAP)
    assert len(first) == IMAGES


def test_a_filter_chooses_points_and_few_images_have_no_map(things, project, database_url):
    keep_mapped(things, project)
    with connect(project) as connection:
        points = maps.find_points(connection, "things", {"width": {"lt": 10}})
        images = maps.find_images(connection, "things", [*points.ids.tolist(), -1])
        every = maps.find_points(connection, "things")
    assert {image.image_id for image in images} == {str(at) for at in range(10)}
    kept = {image: (x, y) for image, x, y in zip(every.ids.tolist(), every.x, every.y, strict=True)}
    assert all(kept[image] == (x, y) for image, x, y in zip(points.ids.tolist(), points.x, points.y, strict=True))
    with pytest.raises(psycopg.errors.RaiseException, match="unknown collection 'nothing'"):
        rows(database_url, "SELECT * FROM images.map('nothing')")
    rows(database_url, "UPDATE retrieval.image SET deleted = now() WHERE width > 1 RETURNING 1")
    assert keep_mapped(things, project) == {"map": "none: 2 images are too few", "placed": 0}
    assert rows(database_url, "SELECT count(*) FROM retrieval.map_place") == [(0,)]
