"""Shards are embedded in real pods, and a run survives what clusters do to pods."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from cluster import HANGS, NAMESPACE, wait
from conftest import IMAGES, PLANTED, SHARD_SIZE
from integration.tables import rows

SHARDS = IMAGES // SHARD_SIZE
ONE_POD_EACH = {str(shard): 1 for shard in range(SHARDS)}


def vectors(house, collection):
    """The vectors of a collection by image id."""
    found = rows(house.database_url, f"SELECT image_id, embedding::text FROM images.{collection}")
    return {name: np.array(text.strip("[]").split(","), dtype=np.float64) for name, text in found}


def assert_complete(house, cluster, collection, run):
    """The run succeeds, the table holds each image's vector once, and no pod is left."""
    assert house.finished(collection, run) == "success", house.logs(collection, run)[-6000:]
    table = f"retrieval.vector_{collection}_slow"
    assert rows(house.database_url, f"SELECT count(*), count(DISTINCT id) FROM {table}") == [(IMAGES, IMAGES)]
    assert len(vectors(house, collection)) == IMAGES
    assert_no_pod_left(cluster, collection)


def assert_no_pod_left(cluster, collection):
    wait(lambda: not cluster.pods(collection=collection), "the pods to go", HANGS)


def waits_for(cluster, collection):
    return " ".join(cluster.waits_for(pod) for pod in cluster.pods(collection=collection))


def assert_one_shard_was_hit(history, collection, pod):
    hit = pod.metadata.labels["image-retrieval/shard"]
    assert history.pods_of(collection) == ONE_POD_EACH | {hit: 2}


@pytest.fixture(scope="module")
def embedded(house, cluster):
    """A run of the collection `plain` in more shards than there are GPUs: its id and its pods."""
    from cluster import History

    with History(cluster) as history:
        run = house.trigger("plain", shard_size=IMAGES // 4)
        assert_complete(house, cluster, "plain", run)
    return run, history


def test_more_shards_than_gpus_wait(embedded):
    _, history = embedded
    assert history.pods_of("plain") == {str(shard): 1 for shard in range(4)}
    assert history.most_at_once("plain") <= 2
    for pod in history.specs("plain"):
        assert pod.spec.containers[0].resources.limits["nvidia.com/gpu"] == "1"


def test_the_log_of_a_pod_is_in_the_log_of_its_task(house, embedded):
    run, _ = embedded
    logs = house.logs("plain", run)
    for words in ("embedding input=", "model loaded", "first batch", "embedded"):
        assert sum(words in line for line in logs.splitlines()) == 4, words  # once for each shard


def test_pods_and_processes_make_the_same_vectors(house, embedded, cluster):
    """The collection `local` has the same images, and is embedded by processes of this machine."""
    command = [sys.executable, "-m", "image_retrieval.cli", "run", "local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    in_pods, here = vectors(house, "plain"), vectors(house, "local")
    assert in_pods.keys() == here.keys()
    assert len(here) == IMAGES
    for name, vector in here.items():
        other = in_pods[name]
        assert vector @ other / np.linalg.norm(vector) / np.linalg.norm(other) >= 0.9999


@pytest.mark.slow
def test_a_worker_may_watch_the_pods_itself(house, cluster, history, pods):
    pods(deferrable="false")
    run = house.trigger("blocking")
    assert_complete(house, cluster, "blocking", run)
    assert history.pods_of("blocking") == ONE_POD_EACH
    assert "first batch" in house.logs("blocking", run)


def test_a_deleted_pod_is_replaced(house, cluster, history):
    run = house.trigger("deleted")
    pod = cluster.at_work("deleted")
    cluster.api.delete_namespaced_pod(pod.metadata.name, NAMESPACE)
    assert_complete(house, cluster, "deleted", run)
    assert_one_shard_was_hit(history, "deleted", pod)
    tries = {instance["try_number"] for instance in house.instances("deleted", run, "shard.embed")}
    assert tries == {1}, house.logs("deleted", run)


@pytest.mark.slow
def test_an_evicted_pod_is_replaced(house, cluster, history):
    run = house.trigger("evicted")
    pod = cluster.at_work("evicted")
    cluster.evict(pod)
    assert_complete(house, cluster, "evicted", run)
    assert_one_shard_was_hit(history, "evicted", pod)


@pytest.mark.slow
def test_too_little_memory_halves_the_batch(house, cluster, history, pods):
    pods(memory="1Gi")  # in pictures of twice the size: batches of 48 take 1.4 GB more than batches of 1
    run = house.trigger("memory")
    assert_complete(house, cluster, "memory", run)
    assert history.pods_of("memory")["0"] > 1
    assert "continuing with batches of 24 instead of 48 images" in house.logs("memory", run)


@pytest.mark.slow
def test_an_image_that_appears_late_is_waited_for(house, cluster, history, pods):
    pods(image="docker.io/local/not-there:1")
    run = house.trigger("image")
    wait(lambda: "ErrImagePull" in waits_for(cluster, "image"), "the image to be missed", HANGS)
    pods()
    assert_complete(house, cluster, "image", run)
    assert "the image of pod" in house.logs("image", run)


@pytest.mark.slow
def test_a_cordoned_node_is_waited_for(house, cluster, history):
    cluster.cordon(True)
    try:
        run = house.trigger("cordoned")
        wait(
            lambda: any("unschedulable" in cluster.waits_for(pod) for pod in cluster.pods(collection="cordoned")),
            "the node to be missed",
            HANGS,
        )
    finally:
        cluster.cordon(False)
    assert_complete(house, cluster, "cordoned", run)
    assert history.pods_of("cordoned") == ONE_POD_EACH


@pytest.mark.slow
def test_the_api_server_may_be_away(house, cluster, history):
    tool = os.environ.get("IMAGE_RETRIEVAL_TEST_CLUSTER")
    if not tool:
        pytest.skip("IMAGE_RETRIEVAL_TEST_CLUSTER names no command that stops and starts the API server")
    run = house.trigger("api")
    cluster.at_work("api")
    subprocess.run([tool, "stop", "kube-apiserver"], check=True)
    try:
        subprocess.run(["sleep", "10"], check=True)
    finally:
        subprocess.run([tool, "up"], check=True, capture_output=True)
    assert_complete(house, cluster, "api", run)
    assert history.pods_of("api") == ONE_POD_EACH


@pytest.mark.slow
def test_a_killed_task_finds_its_pod_again(house, cluster, history, pods):
    pods(deferrable="false")
    run = house.trigger("killed")
    shard = int(cluster.at_work("killed").metadata.labels["image-retrieval/shard"])
    [instance] = [found for found in house.instances("killed", run, "shard.embed") if found["map_index"] == shard]
    os.kill(instance["pid"], signal.SIGKILL)
    assert_complete(house, cluster, "killed", run)
    assert history.pods_of("killed") == ONE_POD_EACH
    assert "taking over pod" in house.logs("killed", run)


@pytest.mark.slow
def test_a_cleared_task_embeds_again(house, cluster, history):
    run = house.trigger("cleared")
    pod = cluster.at_work("cleared")
    shard = int(pod.metadata.labels["image-retrieval/shard"])
    house.clear("cleared", run, "shard.embed", shard)
    assert_complete(house, cluster, "cleared", run)
    assert history.pods_of("cleared")[str(1 - shard)] == 1


@pytest.mark.slow
def test_a_run_marked_as_failed_leaves_no_pod(house, cluster):
    run = house.trigger("marked")
    cluster.at_work("marked")
    house.mark_failed("marked", run)
    assert_no_pod_left(cluster, "marked")
    assert house.finished("marked", run) == "failed"


@pytest.mark.slow
def test_a_mistake_is_told_once_and_leaves_no_pod(house, cluster, history):
    run = house.trigger("failed")
    assert house.finished("failed", run) == "failed"
    assert history.pods_of("failed") == ONE_POD_EACH  # never retried
    logs = house.logs("failed", run)
    assert "model 's3://image-retrieval/models/no-weights/' has no *.safetensors" in logs
    assert "Traceback" not in logs
    assert_no_pod_left(cluster, "failed")


@pytest.mark.slow
def test_runs_of_one_collection_follow_each_other(house, cluster, history):
    runs = [house.trigger("twice"), house.trigger("twice")]
    for run in runs:
        assert_complete(house, cluster, "twice", run)
    assert history.pods_of("twice") == ONE_POD_EACH  # the second run found nothing to do


@pytest.mark.slow
def test_orphans_are_found_and_counted(house, cluster):
    run = house.trigger("orphans")
    pod = cluster.at_work("orphans")
    waiting = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]  # ends when it is told to
    cluster.copy(pod, "left-behind", command=waiting, removed=("map_index", "task_id"))
    assert_complete(house, cluster, "orphans", run)
    [instance] = house.instances("orphans", run, "remove_orphans")
    assert house.result("orphans", run, instance) == 1


def test_no_secret_shows(house, cluster, embedded):
    run, history = embedded
    secret = house.settings.s3_secret_access_key.get_secret_value()
    shown = house.logs("plain", run) + json.dumps(house.rendered("plain", run))
    shown += "".join(str(pod) for pod in history.specs("plain"))
    assert "image-retrieval" in shown
    assert PLANTED not in shown
    assert secret not in shown
