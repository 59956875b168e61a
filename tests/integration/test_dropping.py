"""A dropped collection leaves nothing but its originals, whenever the drop is killed, and touches no other one."""

import signal

import psycopg
import pytest
import yaml

from image_retrieval.collection import find_collection
from image_retrieval.errors import Dropped, Unavailable, UserError
from image_retrieval.pipeline import upkeep
from image_retrieval.pipeline.dropping import drop_collection
from image_retrieval.pipeline.names import pictures_folder
from image_retrieval.pipeline.pending import former_folder, settle_all
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.switching import complete_switch, plan_switch
from image_retrieval.shards import collection_folder, probes_folder, probes_uri
from image_retrieval.store import dropping
from image_retrieval.store.collections import dropped_meanwhile
from image_retrieval.store.connection import connect
from image_retrieval.store.locks import lock_collection
from integration.collections_as_left import KEYS, fill
from integration.gates import a_gate, command_at
from integration.pictures import SCENES, put
from integration.refusing import refusing_store
from integration.tables import contents, rows

OTHER = "things_eu"  # whose name begins like the one that is dropped
# tables that know a collection by name, and in which column; every one must be emptied, see the test of them
NAMED = {"collection": "name", "made_collection": "name"}
ALSO_FILLED = """
INSERT INTO retrieval.hint (collection, uri) VALUES ('things', 's3://images/hinted.jpg');
INSERT INTO retrieval.tar (collection, uri, seen) VALUES ('things', 's3://images/a.tar', 'e');
INSERT INTO retrieval.listed_part (collection, run_id, number, declared, up_to, listed, rows, missing, refused, began)
VALUES ('things', 'broken', 0, '', 's3://images/a.jpg', 1, '[]', '[]', '[]', now());
INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token, dtype)
VALUES ('former', 'models/former', 'vision_transformer', 3, true, 'float32');
CREATE TABLE retrieval.vector_things_former (LIKE retrieval.vector_things_random INCLUDING ALL);
ALTER TABLE retrieval.vector_things_former ADD FOREIGN KEY (id) REFERENCES retrieval.image;
INSERT INTO retrieval.vector_things_former SELECT * FROM retrieval.vector_things_random;
INSERT INTO retrieval.vector_space (collection, model) VALUES ('things', 'former');
SELECT retrieval.face_vectors('things', 'former', 'cosine');
INSERT INTO retrieval.switch (collection, from_model, to_model, state, ended_at)
VALUES ('things', 'former', 'random', 'switched', now());
INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token, dtype)
VALUES ('texts', 'models/texts', 'text_encoder', 3, true, 'float32');
CREATE TABLE retrieval.vector_things_texts (LIKE retrieval.vector_things_random INCLUDING ALL);
ALTER TABLE retrieval.vector_things_texts ADD FOREIGN KEY (id) REFERENCES retrieval.image;
INSERT INTO retrieval.vector_space (collection, model) VALUES ('things', 'texts');
SELECT retrieval.face_vectors('things', 'texts', 'cosine');
UPDATE retrieval.collection SET text_model = 'texts' WHERE name = 'things';
INSERT INTO retrieval.recall (collection, model, ef_search, rows, queries, recall, target)
VALUES ('things', 'random', 200, 1, 1, 1.0, 0.99);
INSERT INTO retrieval.calibration (collection, model, direction, slope, middle, rate, vectors, sampled, probes)
VALUES ('things', 'random', 'image_image', 20, 0.6, 0.05, 1, 1, 1);
INSERT INTO retrieval.shown_captions (collection, model, languages) VALUES ('things', 'writer', '{en}');
INSERT INTO retrieval.caption_word (collection, word, share) VALUES ('things', 'red', 0.5);
INSERT INTO retrieval.caption (image, model, language, etag, digest, text)
SELECT min(id), 'writer', 'en', 'e', 'd', 'A red shoe.' FROM retrieval.image WHERE collection = 'things';
INSERT INTO retrieval.uncaptioned (image, model, language, etag, digest, reason, final)
SELECT max(id), 'writer', 'en', 'e', 'd', 'empty', true FROM retrieval.image WHERE collection = 'things';
INSERT INTO retrieval.verdict (collection, a, b, verdict, decided_by) VALUES ('things', 'a', 'b/c', 'different', 'me');
INSERT INTO retrieval.duplicate (a, b, collection, tier, similarity)
SELECT min(id), max(id), 'things', 'scene', 0.99 FROM retrieval.image WHERE collection = 'things';
INSERT INTO retrieval.made_collection (name, definition)
SELECT name, definition FROM retrieval.collection WHERE name = 'things';
INSERT INTO retrieval.pending (collection, uri, kind) VALUES ('things', 's3://images/none.jpg', 'delete');
INSERT INTO retrieval.filter_use (collection, kind, subject, uses, slow, seconds)
VALUES ('things', 'column', 'width', 1, 1, 1);
INSERT INTO retrieval.map (collection, model, images) VALUES ('things', 'random', 1);
INSERT INTO retrieval.map_place (image, x, y, cluster, anchor, late, etag)
SELECT min(id), 0.5, 0.5, 0, true, false, 'e' FROM retrieval.image WHERE collection = 'things';
INSERT INTO retrieval.map_cluster (collection, number, level, x, y, typical)
SELECT 'things', 0, 1, 0.5, 0.5, min(id) FROM retrieval.image WHERE collection = 'things';
"""


@pytest.fixture
def filled(project, collection, store, database_url):
    """Two collections as runs leave them, one of them with rows in every table."""
    document = yaml.safe_load(project.collections_path.read_text())
    document["collections"][OTHER] = document["collections"]["things"] | {"source": collection.source[:-1] + "-eu/"}
    project.collections_path.write_text(yaml.safe_dump(document))
    for name in (OTHER, "things"):
        fill(find_collection(project.collections_path, name), project, store)
    return collection


def under(store, uri):
    return {entry.uri for page in store.pages(uri, missing_ok=True) for entry in page}


def folders(name, project):
    work = project.work_uri
    of_work = [folder(work, name) for folder in (collection_folder, former_folder, probes_folder)]
    return [pictures_folder(name, project), *of_work]


def in_folders(store, name, project):
    return {uri for folder in folders(name, project) for uri in under(store, folder)}


def tables_with_collections(url):
    """Every table that knows collections, and the column in which it does."""
    query = (
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = 'retrieval' AND table_type = 'BASE TABLE'"
    )
    found = rows(url, query)
    return {table: name for table, name in found if name == "collection"} | NAMED


def of_collection(url, name):
    """How many rows each of these tables has of a collection."""
    counts = {}
    for table, column in tables_with_collections(url).items():
        [(counts[table],)] = rows(url, f"SELECT count(*) FROM retrieval.{table} WHERE {column} = %s", name)
    return counts


def named_after(url, name):
    """Relations and functions that were made for a collection."""
    query = (
        "SELECT relname FROM pg_class WHERE relnamespace IN ('retrieval'::regnamespace, 'images'::regnamespace) "
        "UNION SELECT proname FROM pg_proc WHERE pronamespace IN ('retrieval'::regnamespace, 'images'::regnamespace)"
    )
    every = {found for (found,) in rows(url, query)}
    parts = ("vector_", "images_", "nearest_", "hybrid_", "matching_", "vectors_")
    return {found for found in every if found == name or found.startswith(tuple(f"{part}{name}_" for part in parts))}


def test_nothing_is_left_of_a_dropped_collection_but_its_originals(filled, command, store, project, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute(ALSO_FILLED)
    for name in ("things", OTHER):
        store.write(probes_uri(project.work_uri, name, "random"), b"probes")
    originals, other = under(store, filled.source), of_collection(database_url, OTHER)
    others = [under(store, folder) for folder in folders(OTHER, project)]
    assert [table for table, count in of_collection(database_url, "things").items() if not count] == []
    own = named_after(database_url, "things") - named_after(database_url, OTHER)
    assert {"things", "vector_things_random", "nearest_things_random", "images_things_former"} <= own
    done = command("collections", "drop", "things", "--yes")
    assert done.returncode == 0, done.stderr
    assert "the next run creates 'things' again" in done.stderr
    assert [table for table, count in of_collection(database_url, "things").items() if count] == []
    assert named_after(database_url, "things") & own == set()
    assert under(store, filled.source) == originals
    assert in_folders(store, "things", project) == set()
    assert of_collection(database_url, OTHER) == other
    assert [under(store, folder) for folder in folders(OTHER, project)] == others
    assert len(rows(database_url, f"SELECT * FROM images.similar_to('{OTHER}', 'a')")) == len(KEYS) - 1


def test_a_drop_tells_first_what_would_go_and_asks(filled, command, report, store, project, database_url):
    before = of_collection(database_url, "things"), in_folders(store, "things", project)
    told = report("collections", "drop", "things", "--dry-run")
    assert (told["images"], told["rejected"], told["tables"]) == (3, 1, ["vector_things_random"])
    assert (told["pictures"], told["work_files"], told["originals"]) == (3, 1, 0)
    refused = command("collections", "drop", "things")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "add --yes" in refused.stderr
    refused = command("collections", "drop", "things", "--yes", "--with-originals")
    assert (refused.returncode, "was not made through the API" in refused.stderr) == (2, True)
    assert "unknown collection 'gloves'" in command("collections", "drop", "gloves", "--yes").stderr
    assert before == (of_collection(database_url, "things"), in_folders(store, "things", project))


def test_a_collection_in_use_is_not_dropped(filled, command, project, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.run SET state = 'running' WHERE collection = 'things'")
    refused = command("collections", "drop", "things", "--yes")
    assert (refused.returncode, "run 'run' of collection 'things' is under way since" in refused.stderr) == (2, True)
    with connect(project) as connection:
        lock_collection(connection, "things")
        with pytest.raises(Unavailable, match="is being listed or changed"):
            drop_collection("things", project, force=True)
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT FROM images.things LIMIT 1")
        with pytest.raises(Unavailable, match="for 1 seconds without a pause"):
            drop_collection("things", project, force=True, seconds=1)
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE VIEW ours AS SELECT image_id FROM images.things")
    with pytest.raises(UserError, match=r"view ours depends on view images\.things: drop that first"):
        drop_collection("things", project, force=True)
    assert of_collection(database_url, "things")["image"] == len(KEYS)
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP VIEW ours")
    assert command("collections", "drop", "things", "--yes", "--force").returncode == 0
    assert of_collection(database_url, "things")["image"] == 0


def test_folders_in_which_originals_lie_are_not_emptied(filled, project, change_collection, store):
    inside = pictures_folder("things", project) + "sub/"
    change_collection(source=inside)
    with pytest.raises(UserError, match=r"overlaps source .* of collection 'things': nothing was dropped"):
        drop_collection("things", project)
    assert len(in_folders(store, "things", project)) == 4


def test_a_drop_that_is_killed_has_done_nothing_or_is_finished_later(filled, store, project, database_url):
    def killed_at(event):
        drop = ["collections", "drop", "things", "--yes"]
        with a_gate(database_url, event) as is_reached, command_at(is_reached, *drop) as process:
            process.kill()
            assert process.wait() == -signal.SIGKILL

    before, files = contents(database_url), in_folders(store, "things", project)
    killed_at("DELETE ON retrieval.image")
    assert (contents(database_url), in_folders(store, "things", project)) == (before, files)
    killed_at("DELETE ON retrieval.pending")  # the rows are gone, and the first folder's files
    assert [table for table, count in of_collection(database_url, "things").items() if count] == ["pending"]
    assert under(store, collection_folder(project.work_uri, "things"))
    store.delete_under(filled.source)
    put(store, filled.source, dict(list(SCENES.items())[:3]))
    assert run_collection(filled, "anew", project)["upserted"] == 3  # which first finishes what was broken off
    assert of_collection(database_url, "things")["pending"] == 0
    assert len(under(store, pictures_folder("things", project))) == 3
    assert settle_all(project) == []
    assert len(under(store, pictures_folder("things", project))) == 3


def test_what_the_store_refuses_to_delete_is_told_and_tried_again(filled, command, project, store, database_url):
    picture = pictures_folder("things", project) + "b/c_resample.png"
    with refusing_store(project, {"things/b/c_resample.png"}) as refusing:
        elsewhere = {"IMAGE_RETRIEVAL_S3_ENDPOINT_URL": refusing.s3_endpoint_url}
        refused = command("collections", "drop", "things", "--yes", **elsewhere)
        assert refused.returncode == 2
        assert f"refuses to delete 1 of its files, such as {picture}" in refused.stderr
        assert (
            "refuses to delete 1 of its files" in command("collections", "drop", "things", "--yes", **elsewhere).stderr
        )
    assert store.exists(picture)
    assert [table for table, count in of_collection(database_url, "things").items() if count] == ["pending"]
    assert command("collections", "drop", "things", "--yes").returncode == 0
    assert not store.exists(picture)
    assert of_collection(database_url, "things")["pending"] == 0


def test_a_table_whose_name_could_be_the_collections_is_left_to_its_own(filled, project, database_url):
    """`things` under `eu_random` beside `things_eu` under `random`."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token, dtype) "
            "SELECT 'eu_random', source, family, dimensions, use_cls_token, dtype FROM retrieval.model"
        )
    with connect(project) as connection:
        assert [table.vectors for table in dropping.vector_tables(connection, "things")] == ["vector_things_random"]
    drop_collection("things", project)
    assert rows(database_url, f"SELECT count(*) FROM retrieval.vector_{OTHER}_random") == [(len(KEYS),)]
    assert len(rows(database_url, f"SELECT * FROM images.similar_to('{OTHER}', 'a')")) == len(KEYS) - 1


def test_what_goes_on_beside_a_drop_is_told_in_one_line(filled, command, store, project, database_url):
    listed = command("list", "things", "--run", "late", "--full")
    assert listed.returncode == 0, listed.stderr
    kept = upkeep.kept_collections(project)["things"]
    drop_collection("things", project, force=True)
    for arguments in (("upsert", "things", "--run", "late"), ("resample", "things", "--run", "late", "--shard", "0")):
        refused = command(*arguments)
        assert (refused.returncode, refused.stderr.count("Traceback")) == (2, 0), refused.stderr
    other = filled.model.model_copy(update={"name": "former"})
    for change in (
        lambda: complete_switch(filled, "former", project),
        lambda: plan_switch(filled, other, "s", project),
    ):
        with pytest.raises(UserError, match="has no vectors yet"):
            change()
    with pytest.raises(Dropped, match="was dropped meanwhile"), dropped_meanwhile("things", project):
        upkeep.keep_index(kept, project)
    assert upkeep.refresh_duplicates(kept, project)["compared"] == 0
    assert upkeep.remove_deleted(kept, project)["removed"] == 0
    assert named_after(database_url, "things") == named_after(database_url, OTHER) - {OTHER}
    assert in_folders(store, "things", project) == set()
