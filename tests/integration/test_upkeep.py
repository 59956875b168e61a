"""One command keeps a collection in good order, and says what it did."""

import psycopg
from structlog.testing import capture_logs

from image_retrieval.pipeline.upkeep import Kept, keep_index, kept_collections
from image_retrieval.store.vacuum import ensure_vacuumed
from integration.pictures import SCENES, put
from integration.random_vectors import fill
from integration.tables import VECTORS, rows


def test_dead_rows_are_vacuumed_and_each_decision_told(project, collection, database_url):
    fill(project, collection, 2000)
    eager = project.model_copy(update={"index_from_rows": 1})
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ANALYZE {VECTORS}")
        connection.execute(f"DELETE FROM {VECTORS} WHERE id % 8 = 0")
        connection.execute("SELECT pg_stat_force_next_flush()")
    with capture_logs() as logs:
        report = keep_index(Kept(collection, listed=True), eager)
    assert report["vacuumed"] == ["vector_things_random"]
    assert "building an index over 1750 vectors" in report["index"]
    told = {line["table"]: line["plan"] for line in logs if "vacuum" in line["event"]}
    assert told["vector_things_random"] == "250 of 2000 rows are dead, over 5%"
    assert told["image"].endswith("not over 5%")
    assert rows(database_url, f"SELECT pg_stat_get_dead_tuples('{VECTORS}'::regclass)") == [(0,)]
    assert keep_index(Kept(collection, listed=True), eager)["vacuumed"] == []


def test_a_table_that_is_not_there_is_left_alone(project):
    assert ensure_vacuumed("vector_of_nobody", project) is False


def test_the_command_reports_what_it_did(command, report, store, collection, project):
    refused = command("upkeep", "things")
    assert (refused.returncode, "has no vectors yet: run `image-retrieval run things`" in refused.stderr) == (2, True)
    assert "unknown collection 'gloves'" in command("upkeep", "gloves").stderr
    assert kept_collections(project) == {}
    put(store, collection.source, SCENES)
    report("run", "things")
    store.delete([collection.source + next(iter(SCENES))])
    report("run", "things")
    orphans = {"pictures": 0, "pictures_left": 0, "images_without_object": 0, "objects_without_image": 0}
    orphans |= {"images_without_picture": 0, "vectors_without_image": 0}
    at_once = {"IMAGE_RETRIEVAL_DELETED_GRACE_DAYS": "0"}
    assert report("upkeep", "things", "--dry-run", **at_once) == {
        "dropped": [],
        "removed": 1,
        "orphans": orphans,
    }
    done = report("upkeep", "things", **at_once)
    assert (done["removed"], done["orphans"]) == (1, orphans)
    assert "exact scan: 23 vectors" in done["index"]
    assert (done["duplicates"]["compared"], done["duplicates"]["fingerprinted"]) == (23, 0)
    assert report("upkeep", "things", **at_once)["removed"] == 0
