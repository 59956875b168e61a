"""A training on two machines: losses of one process, the same end if a pod is taken away, nothing left behind."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cluster import COMPONENT, HANGS, HOST_IMAGE, NAMESPACE, ROOT, first_machine, host_template, wait
from conftest import ACCOUNT, RIGHTS, SERVICES, TRAINING, pod_environment
from integration.pictures import put, spots
from packs import write_pictures
from unit.training.tiny import model

from image_retrieval.models.shipped import VISION
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import load_settings
from image_retrieval.training.photolike import draw_clouds

STEPS_OF_AN_EPOCH = 3
pytestmark = pytest.mark.slow


class Bucket:
    """A pack, a model to start from, and a folder for each training, in a store that pods reach."""

    def __init__(self, store, environment):
        self.store, self.environment = store, environment

    def arguments(self, name, *, epochs, start="s3://image-retrieval/trainings/start/"):
        options = {"start": start, "epochs": epochs, "batch-size": 32, "checkpoint-every": 1, "readers": 1}
        given = [f"--{option}={value}" for option, value in {**options, "device": "cpu"}.items()]
        return [
            "training",
            "run",
            "s3://image-retrieval/trainings/pack/",
            f"s3://image-retrieval/trainings/{name}/",
            "--resume",
            *given,
        ]

    def read(self, name, file):
        return self.store.read(f"s3://image-retrieval/trainings/{name}/{file}")

    def losses(self, name):
        return [point["loss"] for point in json.loads(self.read(name, "losses.json"))]

    def here(self, name, *, processes, epochs):
        """Train on this machine."""
        command = [sys.executable, "-m", "image_retrieval.training.launching", str(processes)]
        done = subprocess.run(
            [*command, *self.arguments(name, epochs=epochs)],
            env=self.environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def in_pods(self, name, *, epochs, **options):
        """Begin to train in two pods."""
        script = str(Path(__file__).with_name("train_once.py"))
        return subprocess.Popen(
            [sys.executable, script, name, *self.arguments(name, epochs=epochs, **options)],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def bucket(cluster, services_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings")
    with pytest.MonkeyPatch.context() as patch:
        for line in (services_folder / "services.env").read_text().splitlines():
            name, _, value = line.partition("=")
            patch.setenv(name, value)
        settings = load_settings()
        store = ObjectStore(settings)
        write_pictures(folder / "pack", list(draw_clouds(104, 0)[:, :36, :40]), held_out=8)
        torch.manual_seed(0)
        model("vit").save_pretrained(folder / "start")
        sizes = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.2] * 3}
        (folder / "start" / "preprocessor_config.json").write_text(json.dumps(sizes))
        for path in [*folder.glob("pack/*"), *folder.glob("start/*")]:
            store.write(f"s3://image-retrieval/trainings/{path.relative_to(folder)}", path.read_bytes())
        cluster.secret("trainings", pod_environment(settings))
        extra = {"kube_config_path": str(cluster.kubeconfig_of(ACCOUNT, folder / "kubeconfig"))}
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps({"conn_type": "kubernetes", "extra": extra}),
            "IMAGE_RETRIEVAL_HOME": str(ROOT),
            "IMAGE_RETRIEVAL_RUNNER": "kubernetes",
            "IMAGE_RETRIEVAL_POD_IMAGE": os.environ.get("IMAGE_RETRIEVAL_TEST_IMAGE", HOST_IMAGE),
            "IMAGE_RETRIEVAL_POD_CPUS": "100m",
            "IMAGE_RETRIEVAL_POD_MEMORY": "2Gi",
            "IMAGE_RETRIEVAL_POD_SHARED_MEMORY": "64Mi",
            "IMAGE_RETRIEVAL_POD_GPUS": "1",
            "IMAGE_RETRIEVAL_POD_SECRET": "trainings",
            "PYTHONPATH": str(ROOT / "include"),
        }
        environment.pop("KUBECONFIG", None)
        if "IMAGE_RETRIEVAL_TEST_IMAGE" not in os.environ:
            names = [first_machine(name) for name in ("same", "killed", "evicted", "wrong")]
            template = host_template(folder / "template.json", names)
            environment["IMAGE_RETRIEVAL_POD_TEMPLATE"] = str(template)
        yield Bucket(store, environment)


def outcome(process):
    told, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 0, told
    return json.loads(told.splitlines()[-1])["outcome"], told


def assert_nothing_left(cluster, name):
    def left():
        services = cluster.api.list_namespaced_service(NAMESPACE, label_selector=COMPONENT).items
        return [*cluster.pods(training=name), *services]

    wait(lambda: not left(), f"what belongs to {name} to go", HANGS)


def test_two_machines_have_the_losses_of_one_process(cluster, bucket):
    came, told = outcome(bucket.in_pods("same", epochs=17))
    assert came == "done", told
    bucket.here("alone", processes=1, epochs=17)
    assert len(bucket.losses("alone")) == 17 * STEPS_OF_AN_EPOCH
    assert bucket.losses("same") == pytest.approx(bucket.losses("alone"), abs=1e-4)
    assert_nothing_left(cluster, "same")


@pytest.mark.parametrize("name", ["killed", "evicted"])
def test_where_a_pod_is_taken_away_new_ones_come_to_the_same_weights(cluster, bucket, name):
    epochs = 60
    process = bucket.in_pods(name, epochs=epochs)
    wait(
        lambda: bucket.store.exists(f"s3://image-retrieval/trainings/{name}/checkpoint.pt"),
        "a checkpoint",
        HANGS,
        pause=0.1,
    )
    [pod] = [pod for pod in cluster.pods(training=name) if pod.metadata.labels["image-retrieval/machine"] == "1"]
    if name == "evicted":
        cluster.evict(pod)
    else:
        cluster.api.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
    came, told = outcome(process)
    assert came == "done", told
    assert "another pod continues from its saved work" in told
    bucket.here(f"{name}-unbroken", processes=2, epochs=epochs)
    for file in ("model.safetensors", "losses.json"):
        assert bucket.read(name, file) == bucket.read(f"{name}-unbroken", file), file
    assert_nothing_left(cluster, name)


def test_a_mistake_is_told_at_once(cluster, bucket):
    came, told = outcome(bucket.in_pods("wrong", epochs=1, start="s3://image-retrieval/trainings/nothing/"))
    assert "s3://image-retrieval/trainings/nothing/" in came, told
    assert "\n" not in came
    assert "another pod" not in told
    assert_nothing_left(cluster, "wrong")


@pytest.mark.parametrize("right", sorted(SERVICES), ids=" ".join)
def test_no_right_is_too_many(cluster, bucket, role, right):
    role((RIGHTS | SERVICES) - {right})
    came, told = outcome(bucket.in_pods("rights", epochs=1))
    assert "too few rights" in came, told
    assert "services" in came
    assert_nothing_left(cluster, "rights")


def test_the_dag_trains_on_two_machines(house, cluster):
    store = ObjectStore(house.settings)
    pictures, start = spots(120), "s3://image-retrieval/models/vision/"
    put(store, "s3://images/learnt/", pictures)
    put(store, start, {path.name: path.read_bytes() for path in VISION.iterdir()})
    lines = ["uri", *(f"s3://images/learnt/{key}" for key in pictures)]
    store.write("s3://images/learnt.csv", "\n".join(lines).encode())
    form = {"source": "s3://images/learnt.csv", "model": "mine", "start": start, "machines": 2}
    run = house.trigger(TRAINING, **form, epochs=2, batch_size=32, crop=56, readers=1)
    assert house.finished(TRAINING, run) == "success", house.logs(TRAINING, run)[-6000:]
    [trained] = house.instances(TRAINING, run, "train")
    assert trained["try_number"] == 1
    logs = house.logs(TRAINING, run)
    [first] = re.findall(r"started pod (train-mine-\w+)-1\b", logs)
    assert f"started pod {first}" in logs
    record = json.loads(store.read("s3://image-retrieval/trainings/mine/model/training.json"))
    assert record["state"] == "finished"
    assert_nothing_left(cluster, "mine")
