"""A run brings the tables in step with the bucket, and writes nothing else."""

import pytest

from image_retrieval.errors import UserError
from image_retrieval.pipeline.backfilling import costs, reason_to_stop
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.running import run_collection
from image_retrieval.shards import run_folder
from image_retrieval.store import runs
from image_retrieval.store.connection import connect
from integration.pictures import BAD, SCENES, one_pixel, put
from integration.tables import contents, rows, versions


@pytest.fixture
def filled(store, collection):
    put(store, collection.source, SCENES | {"one/pixel.png": one_pixel()} | {key: bad for key, (bad, _) in BAD.items()})


@pytest.fixture
def run(project, collection):
    number = iter(range(100))

    def run(**options):
        return run_collection(options.pop("entry", collection), f"run {next(number)}", project, **options)

    return run


def test_everything_ends_in_the_table_or_in_the_ledger(filled, run, database_url, collection, store):
    found = run(shard_size=10)
    assert found["state"] == "success"
    assert (found["listed"], found["new"], found["shards"]) == (28, 28, 3)
    assert (found["upserted"], found["rejected"], found["left_over"]) == (25, 3, 0)
    reasons = dict(rows(database_url, "SELECT uri, reason FROM retrieval.rejected WHERE final"))
    assert reasons == {collection.source + key: reason for key, (_, reason) in BAD.items()}
    view = rows(database_url, "SELECT image_id, image_path, resampled_image_path, group_id, width FROM images.things")
    assert {row[1] for row in view} == {collection.source + key for key in [*SCENES, "one/pixel.png"]}
    assert ("one/pixel", collection.source + "one/pixel.png", "one", 1) in [(*row[:2], *row[3:]) for row in view]
    assert all(store.exists(row[2]) for row in view)


def test_a_second_run_writes_nothing(filled, run, database_url):
    run()
    before = versions(database_url)
    again = run()
    assert (again["new"], again["changed"], again["shards"], again["upserted"]) == (0, 0, 0, 0)
    assert versions(database_url) == before


def test_one_changed_and_one_deleted_object_write_two_rows(filled, run, database_url, collection, store):
    run()
    before = versions(database_url)
    changed, deleted = (collection.source + key for key in list(SCENES)[:2])
    store.write(changed, list(SCENES.values())[5])
    store.delete([deleted])
    again = run()
    assert (again["new"], again["changed"], again["gone"], again["upserted"]) == (0, 1, 1, 1)
    after = versions(database_url)
    assert {key for key in after if after[key] != before.get(key)} == {
        ("image", changed),
        ("vector", changed),
        ("image", deleted),
    }
    assert after.keys() == before.keys()
    assert deleted not in {path for (path,) in rows(database_url, "SELECT image_path FROM images.things")}


def test_an_object_that_comes_back_is_not_embedded_again(filled, run, database_url, collection, store):
    run()
    key = next(iter(SCENES))
    store.delete([collection.source + key])
    run()
    put(store, collection.source, {key: SCENES[key]})
    again = run()
    assert (again["restored"], again["upserted"]) == (1, 0)
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(25,)]


def test_a_rejected_object_is_tried_again_once_it_changes(filled, run, database_url, collection, store):
    run()
    put(store, collection.source, {"bad/empty.jpg": next(iter(SCENES.values()))})
    again = run()
    assert (again["new"], again["upserted"]) == (1, 1)
    assert rows(database_url, "SELECT count(*) FROM retrieval.rejected") == [(2,)]


def test_an_image_that_turns_bad_is_no_longer_found(filled, run, database_url, collection, store):
    run()
    key = next(iter(SCENES))
    put(store, collection.source, {key: b"broken"})
    again = run()
    assert (again["changed"], again["rejected"]) == (1, 1)
    found = rows(database_url, "SELECT count(*) FROM images.things WHERE image_path = %s", collection.source + key)
    assert found == [(0,)]
    assert run()["changed"] == 0


def test_too_many_gone_at_once_change_nothing(filled, run, database_url, collection, store):
    run()
    before = contents(database_url)
    store.delete([collection.source + key for key in list(SCENES)[:12]])
    with pytest.raises(UserError, match=r"12 of 28 images .* deletion_limit of 20%"):
        run()
    assert contents(database_url) == before


def test_a_dry_run_leaves_no_trace(filled, project, collection, database_url, store):
    plan = list_images(collection, "dry", project, dry_run=True)
    assert (plan.new, plan.shards) == (28, 1)
    assert rows(database_url, "SELECT count(*) FROM retrieval.image") == [(0,)]
    assert rows(database_url, "SELECT count(*) FROM retrieval.run") == [(0,)]
    assert [entry for page in store.pages(project.work_uri) for entry in page] == []


def test_a_run_takes_so_many_shards_and_the_next_run_the_rest(filled, run, change_collection, database_url):
    entry = change_collection(shard_size=5, max_shards=4)
    first = run(entry=entry)
    assert (first["shards"], first["left_over"]) == (4, 8)
    second = run(entry=entry)
    assert (second["new"], second["shards"], second["left_over"]) == (8, 2, 0)
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(25,)]


def test_a_full_run_takes_every_image_and_writes_only_what_differs(filled, run, database_url):
    run()
    before = {key: version for key, version in versions(database_url).items() if key[0] != "rejected"}
    again = run(full=True)
    assert (again["changed"], again["embedded"], again["upserted"]) == (25, 25, 0)
    assert {key: version for key, version in versions(database_url).items() if key[0] != "rejected"} == before


def test_equal_names_get_ids_of_their_own(run, store, collection, database_url):
    scene = next(iter(SCENES.values()))
    put(store, collection.source, dict.fromkeys(["x/a.jpg", "x/a.png", "x/a.png.jpg", "x/b.webp"], scene))
    run()
    ids = dict(rows(database_url, "SELECT image_path, image_id FROM images.things"))
    assert [ids[collection.source + key] for key in ("x/a.jpg", "x/a.png.jpg", "x/b.webp")] == ["x/a", "x/a.png", "x/b"]
    assert ids[collection.source + "x/a.png"].startswith("x/a.png~")


def test_names_of_all_kinds_are_found_again(run, store, collection, database_url):
    keys = ["ä ö/ü 1.jpg", "a+b&c=d.jpg", "100%.jpg", "狗/雪地.png", "quote'\"s.jpg", "{x}.jpg", "UPPER.JPG"]
    put(store, collection.source, dict.fromkeys(keys, next(iter(SCENES.values()))))
    assert run()["upserted"] == len(keys)
    view = rows(database_url, "SELECT image_path, resampled_image_path FROM images.things")
    assert {row[0] for row in view} == {collection.source + key for key in keys}
    assert all(store.exists(row[1]) for row in view)


def test_another_model_takes_over_the_view_once_it_is_complete(filled, run, change_collection, database_url, project):
    run(shard_size=10)
    former = yaml_model(project)
    entry = change_collection(model=former | {"name": "other", "use_cls_token": False}, shard_size=10, max_shards=2)
    assert run(entry=entry)["left_over"] == 5
    assert rows(database_url, "SELECT model FROM retrieval.collection") == [("random",)]
    run(entry=entry)
    assert rows(database_url, "SELECT model FROM retrieval.collection") == [("other",)]
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(25,)]


def test_a_changed_model_needs_a_new_name(filled, run, change_collection, project):
    run()
    entry = change_collection(model=yaml_model(project) | {"use_cls_token": False})
    with pytest.raises(UserError, match=r"use_cls_token True → False.* new name"):
        run(entry=entry)


def yaml_model(project):
    import yaml

    return yaml.safe_load(project.collections_path.read_text())["collections"]["things"]["model"]


def test_files_of_earlier_runs_go_and_those_of_the_last_stay(filled, run, project, store):
    run()
    run(full=True)
    left = {entry.uri for page in store.pages(f"{project.work_uri}work/things/") for entry in page}
    assert left
    assert all(uri.startswith(run_folder(project.work_uri, "things", "run 1")) for uri in left)


def test_a_run_follows_until_nothing_is_left_or_the_day_is_full(filled, run, change_collection, project):
    entry = change_collection(shard_size=5, max_shards=2, max_runs_a_day=2)
    first = run(entry=entry)
    assert (first["left_over"], first["seconds_left"] > 0) == (18, True)
    assert reason_to_stop(entry, first["run_id"], project) is None
    second = run(entry=entry)
    assert "2 runs within 24 hours" in reason_to_stop(entry, second["run_id"], project)
    last = run(entry=entry.model_copy(update={"max_runs_a_day": 9, "max_shards": 9}))
    assert (last["left_over"], last["seconds_left"]) == (0, 0)
    assert reason_to_stop(entry, last["run_id"], project) == "no images are left over"


def test_a_run_under_way_estimates_what_is_left_and_what_it_costs(filled, change_collection, project):
    entry = change_collection(shard_size=5, max_shards=3)
    list_images(entry, "under way", project)

    def report():
        with connect(project) as connection:
            found = runs.read_run(connection, entry.name, "under way")
        return found, costs(found, project.model_copy(update={"embedding_hour_price": 3600.0}))

    found, cost = report()
    assert (found["shards_done"], found["seconds_left"], cost["cost_left"]) == (0, None, None)
    with connect(project) as connection:
        connection.execute("INSERT INTO retrieval.shard VALUES ('things', 'under way', 0, 5, 5, 5, 5, 0, 1, 2, 3)")
        connection.execute("UPDATE retrieval.run SET started_at = now() - interval '10 minutes'")
    found, cost = report()
    assert (found["shards"], found["shards_done"], found["left_over"]) == (3, 1, 13)
    assert found["seconds_left"] == pytest.approx(600 * (28 - 5) / 5, rel=0.1)
    assert cost == {"cost": 2, "cost_left": pytest.approx(2 * (28 - 5) / 5)}
    assert costs(found, project) == {"cost": None, "cost_left": None}


def test_no_run_follows_one_that_loaded_nothing(filled, change_collection, project):
    entry = change_collection(shard_size=5, max_shards=2)
    list_images(entry, "listed", project)
    assert reason_to_stop(entry, "listed", project) == "no shard of this run is in the table"
