"""One Airflow for all these tests, with no more rights on the cluster than the project's Role gives."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cluster import (
    HANGS,
    HOST_IMAGE,
    NAMESPACE,
    ROOT,
    Cluster,
    History,
    first_machine,
    host_template,
    is_left_over,
    wait,
)
from text_encoders import save_text_encoder

from image_retrieval.local import airflow, services
from image_retrieval.local.filling import ensure_model
from image_retrieval.objects import ObjectStore
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import load_settings
from kubernetes import client

IMAGES, SHARD_SIZE, BATCH_SIZE, LARGE_BATCH = 48, 24, 4, 48
PLANTED = "planted-0b5e2c81"
TRAINING = "model_training"
ACCOUNT = "image-retrieval-tasks"
LOGS = ("pods/log", "get")
RIGHTS = {("pods", "create"), ("pods", "get"), ("pods", "list"), ("pods", "delete"), LOGS}
SERVICES = {("services", "create"), ("services", "delete")}  # of trainings on several machines
COLLECTIONS = ("plain", "local", "deleted")
COLLECTIONS_OF_LONG_TESTS = (
    "blocking",
    "evicted",
    "memory",
    "image",
    "cordoned",
    "api",
    "killed",
    "cleared",
    "failed",
    "marked",
    "twice",
    "orphans",
    "captioned",
    "captioned_here",
)
CAPTIONER, TEXTS = (f"s3://image-retrieval/models/{name}/" for name in ("scenes_captioner", "texts"))
LANGUAGES = ("en", "zh")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that KUBECONFIG points at, with the project's manifests applied; they go when the tests are over."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KUBECONFIG names no cluster")
    found = Cluster(kubeconfig)
    if not (os.environ.get("IMAGE_RETRIEVAL_TEST_IMAGE") or found.has_image(HOST_IMAGE)):
        pytest.skip(
            f"the cluster has no image {HOST_IMAGE}, with which pods run this checkout, and "
            "IMAGE_RETRIEVAL_TEST_IMAGE names no embedding image"
        )
    there = found.namespace()
    if there and is_left_over(there):
        found.drop_namespace()
    elif there:
        pytest.fail(f"the cluster has a namespace {NAMESPACE} already: these tests would remove it")
    found.advertise_gpus(2)
    try:
        for name in ("namespace.yaml", "rbac.yaml"):
            found.apply(ROOT / "include" / "kubernetes" / name)
        found.sign_namespace()
        if "IMAGE_RETRIEVAL_TEST_IMAGE" not in os.environ:
            found.allow_host_folders()
        yield found
    finally:
        found.cordon(False)
        found.drop_namespace()


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded random weights, large enough that a shard takes seconds."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    folder = tmp_path_factory.mktemp("slow-model")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Dinov2Model(Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, patch_size=14))
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 224, "width": 224}}))
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of texts of random weights."""
    return save_text_encoder(tmp_path_factory.mktemp("encoder"), ["two", "red", "blue", "circles", "a", *"红色的圆蓝"])


class House:
    """The project with `runner = kubernetes`, and its Airflow."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.settings = folder, load_settings()
        self.database_url = self.settings.database()
        self.client: httpx.Client = airflow.connect(self.settings)

    def dag(self, collection: str) -> str:
        return collection if collection == TRAINING else f"image_embedding_{collection}"

    def trigger(self, collection: str, **conf: Any) -> str:
        dag = self.dag(collection)
        airflow.wait_for_dag(self.client, dag)
        airflow.pause(self.client, dag, False)
        answer = self.client.post(f"/dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf})
        return str(answer.raise_for_status().json()["dag_run_id"])

    def state(self, collection: str, run: str) -> str:
        return airflow.run_state(self.client, self.dag(collection), run)

    def finished(self, collection: str, run: str) -> str:
        """The state in which a run ends."""
        wait(lambda: self.state(collection, run) in ("success", "failed"), f"the run of {collection}", HANGS, pause=2)
        return self.state(collection, run)

    def instances(self, collection: str, run: str, task: str) -> list[dict[str, Any]]:
        found = airflow.task_instances(self.client, self.dag(collection), run)
        return [instance for instance in found if instance["task_id"] == task]

    def clear(self, collection: str, run: str, task: str, map_index: int) -> None:
        """What the button "Clear" does."""
        body = {"dry_run": False, "dag_run_id": run, "task_ids": [[task, map_index]], "only_failed": False}
        self.client.post(f"/dags/{self.dag(collection)}/clearTaskInstances", json=body).raise_for_status()

    def mark_failed(self, collection: str, run: str) -> None:
        """What the button "Mark as failed" of a run does."""
        self.client.patch(f"/dags/{self.dag(collection)}/dagRuns/{run}", json={"state": "failed"}).raise_for_status()

    def result(self, collection: str, run: str, instance: dict[str, Any]) -> Any:
        """What a task returned."""
        path = (
            f"/dags/{self.dag(collection)}/dagRuns/{run}/taskInstances/{instance['task_id']}/xcomEntries/return_value"
        )
        return self.client.get(path).raise_for_status().json()["value"]

    def rendered(self, collection: str, run: str) -> list[Any]:
        """The rendered templates of a run's tasks."""
        found = airflow.task_instances(self.client, self.dag(collection), run)
        return [instance["rendered_fields"] for instance in found]

    def logs(self, collection: str, run: str) -> str:
        """Everything that the tasks of a run wrote, all tries of them."""
        lines: list[str] = []
        for instance in airflow.task_instances(self.client, self.dag(collection), run):
            for attempt in range(1, instance["try_number"] + 1):
                lines += airflow.task_log(self.client, self.dag(collection), run, {**instance, "try_number": attempt})
        return "\n".join(lines)


@pytest.fixture(scope="module")  # so that Airflow ends with the tests that use it
def house(cluster: Cluster, slow_model: Path, encoder: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """Embedded services and an Airflow that starts pods; each test has a collection of its own."""
    long = any(item.get_closest_marker("slow") for item in request.session.items)
    names = COLLECTIONS + (COLLECTIONS_OF_LONG_TESTS if long else ())  # Airflow reads each of them all the time
    folder = Path(tempfile.mkdtemp(prefix="image-retrieval-pods-"))
    with pytest.MonkeyPatch.context() as patch:
        try:
            services.up(folder, lambda line: None)
            entries = {name: collection(name) for name in names}
            (folder / "collections.yaml").write_text(yaml.safe_dump({"collections": entries}))
            kubeconfig = cluster.kubeconfig_of(ACCOUNT, folder / "kubeconfig")
            extra = {"kube_config_path": str(kubeconfig)}
            for name, value in {
                "IMAGE_RETRIEVAL_HOME": str(ROOT),
                "IMAGE_RETRIEVAL_LOCAL_DIR": str(folder),
                "IMAGE_RETRIEVAL_COLLECTIONS_FILE": str(folder / "collections.yaml"),
                "IMAGE_RETRIEVAL_RUNNER": "kubernetes",
                "IMAGE_RETRIEVAL_POD_CPUS": "800m",
                "IMAGE_RETRIEVAL_POD_SHARED_MEMORY": "64Mi",
                "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps({"conn_type": "kubernetes", "extra": extra}),
            }.items():
                patch.setenv(name, value)
            patch.delenv("KUBECONFIG")  # the connection is all that tasks have
            if "IMAGE_RETRIEVAL_TEST_IMAGE" not in os.environ:
                patch.setenv(
                    "IMAGE_RETRIEVAL_POD_TEMPLATE",
                    str(host_template(folder / "template.json", [first_machine("mine")])),
                )
            settings = load_settings()
            change(folder)
            fill(ObjectStore(settings), slow_model, encoder, names)
            ensure_model(CAPTIONER, settings)
            cluster.secret("image-retrieval", pod_environment(settings))
            pid, _ = airflow.launch(settings)
            airflow.wait_until_ready(settings, pid)
            found = House(folder)
            found.client.patch("/pools/gpu", json={"name": "gpu", "slots": 2, "include_deferred": True})
            yield found
            found.client.close()
        finally:
            services.down(folder, lambda line: None)
            shutil.rmtree(folder)


def collection(name: str) -> dict[str, Any]:
    weights = "slow" if name != "failed" else "no-weights"
    batch_size = LARGE_BATCH if name == "memory" else BATCH_SIZE
    source = f"s3://image-retrieval/models/{weights}/"
    model = {"name": weights.replace("-", "_"), "source": source, "batch_size": batch_size}
    shard_size = IMAGES if name == "memory" else SHARD_SIZE
    side = 448 if name == "memory" else 224
    captions = {
        "captions": {
            "model": {"name": "scenes", "source": CAPTIONER, "batch_size": BATCH_SIZE},
            "languages": [*LANGUAGES],
        },
        "text_model": {"name": "texts", "source": TEXTS, "batch_size": BATCH_SIZE},
    }
    return {
        "source": f"s3://images/{name}/",
        "model": model,
        "resample": {"target_size": [side, side]},
        "shard_size": shard_size,
        "schedule": None,
        **(captions if name.startswith("captioned") else {}),
    }


def fill(store: ObjectStore, model: Path, encoder: Path, names: tuple[str, ...]) -> None:
    for path in model.iterdir():
        store.write(f"s3://image-retrieval/models/slow/{path.name}", path.read_bytes())
        if path.suffix == ".json":
            store.write(f"s3://image-retrieval/models/no-weights/{path.name}", path.read_bytes())
    for path in encoder.iterdir():
        store.write(f"{TEXTS}{path.name}", path.read_bytes())
    for scene in draw_scenes(IMAGES, seed=3):
        for name in names:
            store.write(f"s3://images/{name}/{scene.key}", scene.data)


def pod_environment(settings: Any) -> dict[str, str]:
    values = {name: value for name, value in settings.environment().items() if "_S3_" in name}
    own = {
        "PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin",
        "IMAGE_RETRIEVAL_DEVICE": "cpu",
        "IMAGE_RETRIEVAL_LOCAL_DIR": "/cache",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",
        "PLANTED": PLANTED,
    }
    return values | own


POD_DEFAULTS = {
    "image": os.environ.get("IMAGE_RETRIEVAL_TEST_IMAGE", HOST_IMAGE),
    "memory": "2Gi",
    "deferrable": "true",
}


def change(folder: Path, **settings: str) -> None:
    """Change settings of the pods to come, the others back to their defaults; tasks read them when they start."""
    path = folder / "services.env"
    kept = [line for line in path.read_text().splitlines() if "_POD_" not in line]
    changed = [f"IMAGE_RETRIEVAL_POD_{name.upper()}={value}" for name, value in (POD_DEFAULTS | settings).items()]
    path.write_text("\n".join([*kept, *changed, ""]))


@pytest.fixture
def pods(house: House) -> Iterator[Callable[..., None]]:
    """Change settings of the pods to come, for this test."""
    yield lambda **settings: change(house.folder, **settings)
    change(house.folder)


@pytest.fixture
def history(cluster: Cluster) -> Iterator[History]:
    with History(cluster) as seen:
        yield seen


@pytest.fixture
def role(cluster: Cluster) -> Iterator[Callable[[set[tuple[str, str]]], None]]:
    """Change the rights of the Role; restored afterwards."""
    api = client.RbacAuthorizationV1Api(cluster.api.api_client)
    whole = api.read_namespaced_role(ACCOUNT, NAMESPACE)

    def allow(rights: set[tuple[str, str]]) -> None:
        rules = [{"apiGroups": [""], "resources": [resource], "verbs": [verb]} for resource, verb in sorted(rights)]
        api.patch_namespaced_role(ACCOUNT, NAMESPACE, {"rules": rules})

    yield allow
    api.patch_namespaced_role(ACCOUNT, NAMESPACE, {"rules": api.api_client.sanitize_for_serialization(whole.rules)})
