"""The DAG holds to the house's policy, needs nothing to be read, and carries a bucket to the table under Airflow."""

import io
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from manifests import assert_valid
from random_weights import save_random_dinov2

from image_retrieval.models.shipped import CAPTIONER, VISION
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.running import run_collection
from image_retrieval.scenes.captions import describe as describe_scene
from image_retrieval.scenes.drawing import draw
from image_retrieval.scenes.layout import lay_out
from image_retrieval.settings import load_settings
from integration.pictures import BAD, SCENES, put, spots
from integration.tables import rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory):
    """The variables of an Airflow of the suite's own, its metadata in SQLite."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "PYTHONPATH": str(ROOT / "include"),
    }
    airflow(environment, "db", "migrate", check=True)
    return environment


def own_variables():
    return {name: value for name, value in os.environ.items() if name.startswith("IMAGE_RETRIEVAL_")}


def airflow(environment, *arguments, answer=None, mapped=None, check=False):
    """Run Airflow's command; `answer` is what a person chooses where it asks one, `mapped` the most mapped tasks."""
    program = [Path(sys.executable).with_name("airflow")]
    if answer:
        program = [sys.executable, Path(__file__).with_name("answered_airflow.py"), answer]
    if mapped:
        program = [sys.executable, Path(__file__).with_name("frugal_airflow.py"), str(mapped)]
    return subprocess.run(
        [*program, *arguments], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=check
    )


def metadata(environment, query):
    """What Airflow's own database answers to a query."""
    with closing(sqlite3.connect(Path(environment["AIRFLOW_HOME"], "airflow.db"))) as database:
        return database.execute(query).fetchall()


def describe(home, script="describe_dags.py", **more):
    """What a script prints in an Airflow that has neither database nor network."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:9/nothing",
        "IMAGE_RETRIEVAL_HOME": str(ROOT),
        "PYTHONPATH": str(ROOT / "include"),
        **more,
    }
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name(script), ROOT / "dags"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def described(tmp_path_factory):
    return describe(tmp_path_factory.mktemp("described"))


def test_dag_files_are_read_without_database_and_network(described):
    assert described["errors"] == {}
    names = {"image_embedding_demo", "image_embedding_photos", "index_upkeep", "model_switch", "model_training"}
    assert names <= described["dags"].keys()


def test_every_dag_holds_to_the_policy(described):
    for name, dag in described["dags"].items():
        assert dag["documented"]
        assert dag["max_active_runs"] == (16 if name == "model_training" else 1)  # which may wait for a person
        for task in dag["tasks"].values():
            assert task["time_limit"]
            assert task["retries"] >= 2
            assert task["has_retry_policy"]


def test_a_shard_flows_through_its_stages_on_its_own(described):
    tasks = described["dags"]["image_embedding_demo"]["tasks"]
    assert tasks["shard.embed"]["type"] == "EmbeddingProcessOperator"
    assert tasks["shard.embed"]["upstream"] == ["list_images", "shard.resample"]
    assert tasks["shard.upsert"]["upstream"] == ["list_images", "shard.embed"]
    assert (tasks["shard.resample"]["pool"], tasks["shard.embed"]["pool"]) == ("resample", "gpu")
    assert all(tasks[f"shard.{stage}"]["map_index"] for stage in ("resample", "embed", "upsert"))


def test_captions_follow_the_vectors_and_hold_up_nothing_but_the_report(described):
    tasks = described["dags"]["image_embedding_demo"]["tasks"]
    assert (tasks["recall"]["upstream"], tasks["plan_captions"]["upstream"]) == (["index"], ["recall"])
    assert tasks["captions.caption"]["type"] == "EmbeddingProcessOperator"
    assert tasks["captions.caption"]["upstream"] == ["captions.resample", "plan_captions"]
    assert tasks["captions.write"]["upstream"] == ["captions.caption", "plan_captions"]
    assert tasks["captions.write"]["downstream"] == ["report"]
    assert (tasks["captions.resample"]["pool"], tasks["captions.caption"]["pool"]) == ("resample", "gpu")
    assert not [name for name in described["dags"]["image_embedding_photos"]["tasks"] if "captions" in name]


def test_a_watched_collection_runs_by_its_hints_as_well(described):
    dags = described["dags"]
    assert dags["image_embedding_demo"]["watched"] == ["x-image-retrieval-hints://demo"]
    assert "AssetOrTimeSchedule" in dags["image_embedding_demo"]["schedule"]
    assert dags["image_embedding_photos"]["watched"] == ["x-image-retrieval-hints://photos"]
    assert dags["index_upkeep"]["watched"] == []


def test_the_upkeep_takes_its_steps_in_order_for_each_collection(described):
    dag = described["dags"]["index_upkeep"]
    tasks = dag["tasks"]
    assert dag["schedule"] == "@daily"
    assert tasks["upkeep.keep_index"]["upstream"] == ["list_collections", "upkeep.remove_deleted"]
    assert tasks["upkeep.refresh_duplicates"]["upstream"] == ["list_collections", "upkeep.keep_index"]
    assert tasks["upkeep.keep_scores"]["upstream"] == ["list_collections", "upkeep.refresh_duplicates"]
    assert tasks["upkeep.keep_map"]["upstream"] == ["list_collections", "upkeep.keep_scores"]
    assert tasks["drop_expired_vectors"]["upstream"] == tasks["finish_changes"]["upstream"] == []
    assert {name for name, task in tasks.items() if task["map_index"]} == {name for name in tasks if "upkeep." in name}


def test_only_the_kubernetes_runner_loads_its_client(described, tmp_path):
    assert not described["loads_kubernetes"]
    in_pods = describe(tmp_path, IMAGE_RETRIEVAL_RUNNER="kubernetes")
    assert in_pods["errors"] == {}
    for dag, task in (("image_embedding_demo", "shard"), ("model_switch", "shard"), ("model_switch", "late_shard")):
        assert in_pods["dags"][dag]["tasks"][f"{task}.embed"]["type"] == "EmbeddingPodOperator"
    for task in ("train", "gate"):
        assert described["dags"]["model_training"]["tasks"][task]["type"] == "TrainingProcessOperator"
        assert in_pods["dags"]["model_training"]["tasks"][task]["type"] == "TrainingPodOperator"


@pytest.fixture
def described_pod(tmp_path):
    nowhere = {"cluster": {"server": "https://127.0.0.1:9"}, "name": "nowhere"}
    context = {"context": {"cluster": "nowhere", "user": "nobody"}, "name": "here"}
    users = [{"name": "nobody", "user": {}}]
    config = {"clusters": [nowhere], "contexts": [context], "users": users, "current-context": "here"}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    return describe(
        tmp_path,
        "describe_pod.py",
        KUBECONFIG=str(tmp_path / "kubeconfig"),
        IMAGE_RETRIEVAL_RUNNER="kubernetes",
        IMAGE_RETRIEVAL_S3_SECRET_ACCESS_KEY="planted",
    )


def test_a_pod_asks_for_a_gpu_and_spells_out_no_secret(described_pod):
    pod = described_pod
    [container] = pod["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1", "memory": "16Gi"}
    assert container["command"] == ["image-retrieval"]
    assert container["args"] == ["embed", "s3://in/00007.parquet", "s3://out", "--batch-size=8"]
    assert container["envFrom"] == [{"secretRef": {"name": "image-retrieval"}}]
    assert not container["env"]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert pod["metadata"]["labels"]["image-retrieval/collection"] == "my_things"
    assert pod["metadata"]["labels"]["image-retrieval/shard"] == "7"
    assert_valid(pod)
    assert "planted" not in json.dumps(pod)


def test_a_pod_has_no_right_that_it_does_not_need(described_pod):
    spec = described_pod["spec"]
    [container] = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    written = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert written == {"/cache", "/tmp", "/dev/shm"}
    [shared] = [volume for volume in spec["volumes"] if volume["name"] == "shared-memory"]
    assert shared["emptyDir"]["medium"] == "Memory"


def test_params_are_typed(described):
    params = described["dags"]["image_embedding_demo"]["params"]
    assert {name: schema["type"] for name, schema in params.items()} == {
        "full": "boolean",
        "requeue": "boolean",
        "shard_size": ["null", "integer"],
        "dry_run": "boolean",
    }


@pytest.fixture
def dags_test(airflow_environment, project):
    """Run the collection's DAG, or another one, as `airflow dags test` does."""

    def run(dag="image_embedding_things", answer=None, mapped=None, **conf):
        environment = airflow_environment | own_variables()
        return airflow(environment, "dags", "test", dag, "-c", json.dumps(conf), answer=answer, mapped=mapped)

    return run


@pytest.mark.slow
def test_a_dry_run_changes_nothing(dags_test, store, collection, database_url):
    put(store, collection.source, SCENES)
    done = dags_test(dry_run=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, "SELECT count(*) FROM retrieval.run") == [(0,)]


def test_airflow_carries_a_bucket_to_the_table(dags_test, store, collection, database_url, airflow_environment):
    put(store, collection.source, SCENES | {key: bad for key, (bad, _) in BAD.items()})
    done = dags_test(shard_size=6, mapped=2)
    assert done.returncode == 0, done.stdout[-3000:]
    found = rows(database_url, "SELECT state, shards FROM retrieval.run")
    assert found == [("success", 5)]
    last = "(SELECT run_id FROM dag_run ORDER BY id DESC LIMIT 1)"
    mapped = f"SELECT DISTINCT rendered_map_index FROM task_instance WHERE task_id LIKE 'shard.%' AND run_id = {last}"
    assert sorted(metadata(airflow_environment, mapped)) == [("shards 00000-00002",), ("shards 00003-00004",)]
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(24,)]
    assert rows(database_url, "SELECT count(*) FROM retrieval.rejected") == [(3,)]


@pytest.mark.slow
def test_airflow_captions_what_it_embedded(dags_test, store, change_collection, database_url, airflow_environment):
    model = {"name": "scenes", "source": str(CAPTIONER)}
    entry = change_collection(captions={"model": model, "languages": ["en", "zh"]}, shard_size=4)
    put(store, entry.source, dict(list(SCENES.items())[:6]))
    done = dags_test()
    assert done.returncode == 0, done.stdout[-3000:]
    told = "SELECT state, captions, captions_due FROM retrieval.run ORDER BY started_at DESC LIMIT 1"
    assert rows(database_url, told) == [("success", 12, 0)]
    stored = rows(database_url, "SELECT image, language, text FROM retrieval.caption ORDER BY 1, 2")
    change_collection(captions={"model": {"name": "scenes", "source": "nowhere"}})
    put(store, entry.source, dict(list(SCENES.items())[6:7]))
    dags_test()  # its tasks of captions fail
    assert rows(database_url, told) == [("success", None, None)]
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(7,)]
    assert rows(database_url, "SELECT image, language, text FROM retrieval.caption ORDER BY 1, 2") == stored
    tasks = last_run(airflow_environment, entry.dag_id)[3]
    assert (tasks["plan_captions"], tasks["report"]) == ("failed", "success")


@pytest.mark.slow
def test_a_run_that_leaves_images_over_triggers_the_next_one(
    dags_test, store, collection, change_collection, database_url, airflow_environment
):
    change_collection(shard_size=5, max_shards=1)
    put(store, collection.source, dict(list(SCENES.items())[:7]))
    airflow(airflow_environment | own_variables(), "dags", "reserialize", check=True)
    for left_over in (2, 0):
        done = dags_test(shard_size=5)
        assert done.returncode == 0, done.stdout[-3000:]
        assert rows(database_url, "SELECT left_over FROM retrieval.run ORDER BY started_at DESC LIMIT 1") == [
            (left_over,)
        ]
    triggered = metadata(airflow_environment, "SELECT run_id, state, conf FROM dag_run WHERE run_id LIKE 'backfill%'")
    assert [(state, json.loads(conf)) for _, state, conf in triggered] == [("queued", {"shard_size": 5})]


@pytest.mark.slow
def test_rejected_images_are_tried_again_where_the_form_says_so(dags_test, store, collection, database_url):
    put(store, collection.source, {key: bad for key, (bad, _) in BAD.items()})
    for requeue in (False, False, True):
        done = dags_test(requeue=requeue)
        assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, "SELECT new FROM retrieval.run ORDER BY started_at") == [(3,), (0,), (3,)]


@pytest.fixture
def switchable(collection, store, project, tmp_path):
    """A collection with vectors, and what the form of `model_switch` is given for another model."""
    put(store, collection.source, dict(list(SCENES.items())[:6]))
    run_collection(collection, "first", project)
    save_random_dinov2(tmp_path / "other", seed=1)
    return {"collection": "things", "model": "other", "source": str(tmp_path / "other"), "shard_size": 4}


@pytest.mark.slow
def test_airflow_switches_a_collection_to_another_model(dags_test, switchable, database_url):
    done = dags_test("model_switch", **switchable)
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, "SELECT model, overrules FROM retrieval.collection") == [("other", "random")]
    assert rows(database_url, "SELECT state, checks -> 'covered' FROM retrieval.switch") == [("switched", 6)]
    assert rows(database_url, "SELECT state, shards FROM retrieval.run WHERE model = 'other' ORDER BY started_at") == [
        ("success", 2),
        ("success", 0),
    ]
    done = dags_test()  # the next run embeds under the model that is shown
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, "SELECT model, new FROM retrieval.run ORDER BY started_at DESC LIMIT 1") == [("other", 0)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "model", "state"), [("Approve", "other", "switched"), ("Reject", "random", "given_up")]
)
def test_a_person_decides_where_asked_to(answer, model, state, dags_test, switchable, database_url):
    done = dags_test("model_switch", answer, **switchable, require_approval=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, "SELECT model FROM retrieval.collection") == [(model,)]
    assert rows(database_url, "SELECT state FROM retrieval.switch") == [(state,)]


@pytest.fixture
def trainable(collection, change_collection, store, project):
    """A collection that is large enough for the gate, and what the form of `model_training` is given."""
    changed = change_collection(id_pattern=None)
    put(store, changed.source, spots(290))
    run_collection(changed, "first", project)
    form = {"source": "things", "model": "mine", "start": str(VISION), "held_out": 0.5, "switch": "things"}
    return form | {"epochs": 2, "batch_size": 32, "crop": 56, "rate": 1e-5, "checkpoint_every": 1}


def last_run(environment, dag):
    """Id, state and conf of the latest run of a DAG, and the states of its tasks."""
    query = f"SELECT run_id, state, conf FROM dag_run WHERE dag_id = '{dag}' ORDER BY id DESC LIMIT 1"
    [(run_id, state, conf)] = metadata(environment, query)
    tasks = metadata(environment, f"SELECT task_id, state FROM task_instance WHERE run_id = '{run_id}'")
    return run_id, state, json.loads(conf or "{}"), dict(tasks)


TRAINED = "SELECT state, decision, gate ->> 'decision' FROM retrieval.training WHERE name = 'mine'"
SHOWN = "SELECT model FROM retrieval.collection WHERE name = 'things'"


@pytest.mark.slow
def test_airflow_trains_judges_asks_and_switches(dags_test, trainable, airflow_environment, database_url, report):
    airflow(airflow_environment | own_variables(), "dags", "reserialize", check=True)
    before = rows(database_url, "SELECT image_id, embedding::text FROM images.things ORDER BY 1")
    done = dags_test("model_training", "Reject", **trainable)
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, TRAINED) == [("passed", "rejected", "passed")]
    assert last_run(airflow_environment, "model_training")[3]["switch"] == "skipped"
    assert rows(database_url, "SELECT image_id, embedding::text FROM images.things ORDER BY 1") == before
    assert rows(database_url, "SELECT count(*) FROM retrieval.switch") == [(0,)]

    done = dags_test("model_training", "Approve", **trainable)  # the same form: nothing is trained again
    assert done.returncode == 0, done.stdout[-3000:]
    assert "already finished" in done.stdout + done.stderr
    assert rows(database_url, TRAINED) == [("passed", "approved", "passed")]
    run_id, state, conf, _ = last_run(airflow_environment, "model_switch")
    assert (run_id.startswith("training__mine__"), state) == (True, "queued")
    assert (conf["collection"], conf["model"]) == ("things", "mine")

    done = dags_test("model_switch", **conf)
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, SHOWN) == [("mine",)]
    after = rows(database_url, "SELECT image_id, embedding::text FROM images.things ORDER BY 1")
    assert [one for one, _ in after] == [one for one, _ in before]
    assert all(one != two for (_, one), (_, two) in zip(before, after, strict=True))
    found = report("search", "things", "--id", "0001", "-k", "3", "--json")
    assert len(found["results"]) == 3


@pytest.mark.slow
def test_a_training_that_is_killed_comes_to_the_same_end(dags_test, trainable, airflow_environment, database_url):
    """Its process is killed by its id once a checkpoint is there; the task's next try goes on from it."""
    killed = []

    def kill() -> None:
        store, folder = ObjectStore(load_settings()), f"{load_settings().work_uri}trainings/mine/model/"
        while not killed:
            time.sleep(0.05)
            if store.exists(folder + "checkpoint.pt"):
                for process in psutil.Process().children(recursive=True):
                    with suppress(psutil.Error):
                        if "--resume" in process.cmdline() and folder in process.cmdline():
                            process.kill()
                            killed.append(process.pid)

    watch = threading.Thread(target=kill, daemon=True)
    watch.start()
    done = dags_test("model_training", **trainable | {"switch": None, "epochs": 6})
    watch.join(5)
    assert killed
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, TRAINED) == [("passed", None, "passed")]
    assert rows(database_url, SHOWN) == [("random",)]


@pytest.fixture
def described_scenes(collection, store):
    """A file of drawn scenes with a caption in both languages."""
    lines, folder = [], f"{collection.source.rstrip('/')}-scenes/"
    for number in range(230):
        layout, rng, file = lay_out(number, 5), random.Random(number), io.BytesIO()
        draw(layout, rng, 0.3).save(file, "PNG")
        store.write(f"{folder}{number}.png", file.getvalue())
        caption = describe_scene(layout, "full", rng)
        lines += [f"{folder}{number}.png\t{text}" for text in (caption.english, caption.chinese)]
    store.write(f"{folder}pairs.tsv", "\n".join(lines).encode())
    return f"{folder}pairs.tsv"


@pytest.mark.slow
def test_airflow_teaches_a_model_to_read_and_asks(
    dags_test, store, described_scenes, airflow_environment, database_url
):
    airflow(airflow_environment | own_variables(), "dags", "reserialize", check=True)
    form = {"source": described_scenes, "model": "mine", "method": "text", "start": str(VISION), "held_out": 0.48}
    form |= {"epochs": 24, "batch_size": 32, "rate": 0.004, "switch": "things"}
    done = dags_test("model_training", "Approve", **form)
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, TRAINED) == [("passed", "approved", "passed")]
    _, _, _, tasks = last_run(airflow_environment, "model_training")
    assert (tasks["gate"], tasks["register"], tasks["switch"]) == ("skipped", "success", "success")
    assert last_run(airflow_environment, "model_switch")[2]["model"] == "mine"
    [(settings, model)] = rows(database_url, "SELECT settings, model FROM retrieval.training WHERE name = 'mine'")
    assert (settings["epochs"], settings["checkpoint_every"], settings["general"]) == (24, None, None)
    assert store.exists(f"{model}text_side.safetensors")


def test_a_mistake_fails_the_task_in_one_line(dags_test, change_collection):
    change_collection(source="s3://no-such-bucket/")
    done = dags_test()
    told = done.stdout + done.stderr
    assert "bucket 'no-such-bucket' does not exist" in told
    assert "botocore" not in told


@pytest.mark.slow
def test_airflow_keeps_up_every_collection_with_vectors(
    dags_test, store, collection, project, database_url, monkeypatch
):
    done = dags_test("index_upkeep")  # none has any yet
    assert done.returncode == 0, done.stdout[-3000:]
    put(store, collection.source, SCENES)
    run_collection(collection, "run", project)
    store.delete([collection.source + next(iter(SCENES))])
    run_collection(collection, "again", project)
    monkeypatch.setenv("IMAGE_RETRIEVAL_DELETED_GRACE_DAYS", "0")
    done = dags_test("index_upkeep")
    assert done.returncode == 0, done.stdout[-3000:]
    assert rows(database_url, "SELECT count(*) FROM retrieval.image") == [(len(SCENES) - 1,)]
    assert rows(database_url, "SELECT count(*) FROM retrieval.compared") == [(len(SCENES) - 1,)]
