"""A collection's vectors are of one model, of the same files and precision, and of one size of pictures."""

import io
import json
import shutil

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file
from text_sides import with_text_side

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.backends import load_engine
from image_retrieval.errors import UserError
from image_retrieval.models.digest import digest_of
from image_retrieval.models.towers import image_tower
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.resampling import resample_shard
from image_retrieval.pipeline.running import embed, run_collection
from image_retrieval.pipeline.switching import plan_switch, roll_back, switch_collection
from image_retrieval.pipeline.upserting import upsert_shard
from image_retrieval.shards import Shard
from integration.pictures import SCENES, put
from integration.tables import VECTORS, rows

PICTURES = dict(list(SCENES.items())[:6])
CHANGED = r"the files of model '[^']+' have changed [^\n]* give the changed model a new `name` in collections\.yaml"


@pytest.fixture
def model(random_model, tmp_path):
    """A copy of the model, to change."""
    return shutil.copytree(random_model, tmp_path / "model")


@pytest.fixture
def entry(model, change_collection, store):
    entry = change_collection(model={"name": "random", "source": str(model)}, shard_size=3)
    put(store, entry.source, PICTURES)
    return entry


def change_weights(model):
    weights = load_file(model / "model.safetensors")
    save_file({name: values * 1.5 for name, values in weights.items()}, model / "model.safetensors", {"format": "pt"})
    image_tower.cache_clear()
    load_engine.cache_clear()


def embed_shard(entry, project, shard, run_id="run"):
    resample_shard(entry, run_id, shard, project)
    embed(entry, run_id, shard, project, "cpu", lambda done: None)


def test_what_decides_a_vector_is_recorded(entry, model, project, database_url):
    run_collection(entry, "run", project)
    assert rows(database_url, "SELECT digest, dtype FROM retrieval.model") == [(digest_of(model), "auto")]


def test_two_shards_of_a_first_run_are_of_the_same_weights(entry, model, project, database_url):
    assert list_images(entry, "run", project).shards == 2
    embed_shard(entry, project, 0)
    change_weights(model)
    embed_shard(entry, project, 1)
    upsert_shard(entry, "run", 0, project)
    with pytest.raises(UserError, match=CHANGED):
        upsert_shard(entry, "run", 1, project)
    assert rows(database_url, f"SELECT count(*) FROM {VECTORS}") == [(3,)]


def test_later_a_pod_refuses_other_weights_before_it_starts(entry, model, project, store, database_url):
    run_collection(entry, "first", project)
    change_weights(model)
    list_images(entry, "second", project, full=True)
    with pytest.raises(UserError, match=CHANGED):
        embed_shard(entry, project, 0, "second")
    files = Shard(entry.name, "second", 0).files(project.work_uri)
    assert not store.exists(files.embeddings)


def test_the_pods_program_refuses_other_weights(entry, model, project, command):
    run_collection(entry, "first", project)
    change_weights(model)
    list_images(entry, "second", project, full=True)
    resample_shard(entry, "second", 0, project)
    files = Shard(entry.name, "second", 0).files(project.work_uri)
    done = command("embed", files.resampled, files.embeddings, "--model", str(model), IMAGE_RETRIEVAL_DATABASE_URL="")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"image-retrieval: the files of model '{model}' have changed")


def test_a_search_refuses_other_weights(entry, model, project, command, tmp_path):
    run_collection(entry, "run", project)
    change_weights(model)
    (tmp_path / "query").write_bytes(next(iter(PICTURES.values())))
    done = command("search", "things", "--image", str(tmp_path / "query"))
    assert done.returncode == 2
    assert "have changed" in done.stderr


def test_changed_weights_under_a_new_name_are_a_new_model(entry, model, project, change_collection, database_url):
    run_collection(entry, "first", project)
    change_weights(model)
    other = change_collection(model={"name": "other", "source": str(model)})
    assert run_collection(other, "second", project)["state"] == "success"
    assert rows(database_url, "SELECT name FROM retrieval.model WHERE digest = %s", digest_of(model)) == [("other",)]


def test_another_precision_needs_a_new_name(entry, model, project, change_collection):
    run_collection(entry, "first", project)
    other = change_collection(model={"name": "random", "source": str(model), "dtype": "float16"})
    with pytest.raises(UserError, match=r"dtype 'auto' → 'float16'[^\n]* give the changed model a new name"):
        run_collection(other, "second", project)


def test_stating_the_default_precision_is_no_change(entry, model, project, change_collection):
    run_collection(entry, "first", project)
    stated = change_collection(model={"name": "random", "source": str(model), "dtype": "float32"})
    assert run_collection(stated, "second", project)["state"] == "success"


def packed(entry, run_id, project, store):
    data = store.read(Shard(entry.name, run_id, 0).files(project.work_uri).resampled)
    metadata = pq.read_metadata(io.BytesIO(data)).metadata
    return int(metadata[b"width"]), int(metadata[b"height"])


def test_pictures_are_of_the_size_that_the_models_files_say(entry, model, project, store, command):
    file = model / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"size": {"height": 64, "width": 96}}))
    assert run_collection(entry, "run", project)["state"] == "success"
    assert packed(entry, "run", project, store) == (96, 64)
    key, data = next(iter(PICTURES.items()))
    (project.home / "query").write_bytes(data)
    found = json.loads(command("search", "things", "--image", str(project.home / "query"), "--json").stdout)["results"][
        0
    ]
    assert (found["image_path"], found["similarity"] > 0.999) == (entry.source + key, True)


def test_a_collection_may_set_the_size_and_a_plan_keeps_it(entry, project, store, change_collection):
    entry = change_collection(resample={"target_size": [80, 48]})
    list_images(entry, "run", project)
    embed_shard(change_collection(resample={"target_size": [32, 32]}), project, 0)
    assert packed(entry, "run", project, store) == (80, 48)


def test_a_model_of_a_former_schema_gets_what_it_lacks(entry, model, project, database_url):
    run_collection(entry, "first", project)
    rows(database_url, "UPDATE retrieval.model SET digest = NULL, dtype = NULL RETURNING 1")
    run_collection(entry, "second", project, full=True)
    assert rows(database_url, "SELECT digest, dtype FROM retrieval.model") == [(digest_of(model), "auto")]


def moved(model, change_collection, name="elsewhere"):
    """The entry after the model's folder went to another place."""
    return change_collection(model={"name": "random", "source": str(model.rename(model.with_name(name)))}, shard_size=3)


def sources(url):
    return rows(url, "SELECT source FROM retrieval.model")


def test_a_model_at_another_place_is_the_same_and_new_images_follow(
    entry, model, project, store, change_collection, database_url, command, tmp_path
):
    run_collection(entry, "first", project)
    entry = moved(model, change_collection)
    put(store, entry.source, dict(list(SCENES.items())[6:8]))
    report = run_collection(entry, "second", project)
    assert (report["state"], report["new"], report["changed"]) == ("success", 2, 0)
    assert sources(database_url) == [(entry.model.source,)]
    (tmp_path / "query").write_bytes(next(iter(PICTURES.values())))
    assert command("search", "things", "--image", str(tmp_path / "query")).returncode == 0


def test_a_moved_model_is_followed_where_nothing_is_new(entry, model, project, change_collection, database_url):
    run_collection(entry, "first", project)
    entry = moved(model, change_collection)
    list_images(entry, "dry", project, dry_run=True)
    assert sources(database_url) == [(str(model),)]
    assert run_collection(entry, "second", project)["new"] == 0
    assert sources(database_url) == [(entry.model.source,)]


@pytest.mark.parametrize("new", [0, 2])
def test_other_weights_at_another_place_are_refused_before_any_vector(
    entry, model, project, store, change_collection, database_url, new
):
    run_collection(entry, "first", project)
    before = rows(database_url, f"SELECT id, xmin::text FROM {VECTORS} ORDER BY 1")
    entry = moved(model, change_collection)
    change_weights(model.with_name("elsewhere"))
    put(store, entry.source, dict(list(SCENES.items())[6 : 6 + new]))
    with pytest.raises(UserError, match=CHANGED):
        run_collection(entry, "second", project)
    assert rows(database_url, f"SELECT id, xmin::text FROM {VECTORS} ORDER BY 1") == before
    assert sources(database_url) == [(str(model),)]


def test_a_text_side_may_come_and_go_while_the_vectors_stay(
    entry, model, project, change_collection, database_url, command, tmp_path
):
    run_collection(entry, "first", project)
    before = rows(database_url, f"SELECT id, xmin::text FROM {VECTORS} ORDER BY 1")
    assert "reads images only" in command("search", "things", "--text", "a red cat").stderr
    both = with_text_side(model, tmp_path / "both")
    run_collection(change_collection(model={"name": "random", "source": str(both)}, shard_size=3), "second", project)
    assert rows(database_url, "SELECT source, family FROM retrieval.model") == [(str(both), "dual_encoder")]
    found = command("search", "things", "--text", "a red cat", "--json")
    assert found.returncode == 0, found.stderr
    assert len(json.loads(found.stdout)) > 0
    run_collection(change_collection(model={"name": "random", "source": str(model)}, shard_size=3), "third", project)
    assert rows(database_url, "SELECT source, family FROM retrieval.model") == [(str(model), "vision_transformer")]
    assert rows(database_url, f"SELECT id, xmin::text FROM {VECTORS} ORDER BY 1") == before


def test_a_wrong_place_may_be_corrected_before_the_first_vector(entry, model, project, change_collection, database_url):
    list_images(entry, "first", project)
    entry = moved(model, change_collection)
    assert run_collection(entry, "second", project)["state"] == "success"
    assert sources(database_url) == [(entry.model.source,)]


def test_vectors_of_unknown_weights_stay_with_their_place(entry, model, project, change_collection, database_url):
    run_collection(entry, "first", project)
    rows(database_url, "UPDATE retrieval.model SET digest = NULL RETURNING 1")
    with pytest.raises(UserError, match=r"\(source '[^']+' → '[^']+'\)"):
        list_images(moved(model, change_collection), "second", project)


def test_a_switch_to_a_model_that_has_moved(
    entry, model, project, change_collection, random_model, tmp_path, database_url
):
    other = shutil.copytree(random_model, tmp_path / "other")
    change_weights(other)
    options = ModelOptions(name="other", source=str(other), batch_size=16)
    run_collection(entry, "first", project)
    switch_collection(entry, options, "switch", project)
    roll_back(entry, project)
    there = options.model_copy(update={"source": str(other.rename(tmp_path / "there"))})
    switch_collection(entry, there, "again", project)
    assert ("other", there.source) in rows(database_url, "SELECT name, source FROM retrieval.model")
    roll_back(entry, project)
    change_weights(tmp_path / "there")
    moved_again = there.model_copy(update={"source": str((tmp_path / "there").rename(tmp_path / "beyond"))})
    with pytest.raises(UserError, match=CHANGED):
        plan_switch(entry, moved_again, "third", project)
