"""A real cluster as the tests see it: its pods, its faults, and what a pod needs to run this checkout."""

import base64
import json
import os
import platform
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from kubernetes.client import ApiException, V1Pod

from kubernetes import client, config, utils

ROOT = Path(__file__).parents[2]
NAMESPACE = "image-retrieval"
HOST_IMAGE = "docker.io/local/python-host:1"
COMPONENT = "app.kubernetes.io/name=image-retrieval"
GPUS = "nvidia.com/gpu"
TESTED_BY = "image-retrieval/tested-by"
HANGS = 900.0  # seconds after which something counts as hung: a busy machine takes minutes to start a pod


class Cluster:
    """The cluster of a kubeconfig, as its administrator."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig
        self.api = client.CoreV1Api(config.new_client_from_config(kubeconfig))

    def nodes(self) -> list[Any]:
        return list(self.api.list_node().items)

    def has_image(self, image: str) -> bool:
        return any(image in (found.names or ()) for node in self.nodes() for found in node.status.images or ())

    def advertise_gpus(self, count: int) -> None:
        """Pretend that the node has GPUs, where it has none."""
        [node] = self.nodes()
        if int((node.status.allocatable or {}).get(GPUS, 0)) >= count:
            return
        self.api.patch_node_status(node.metadata.name, {"status": {"capacity": {GPUS: str(count)}}})
        wait(lambda: int(self.nodes()[0].status.allocatable.get(GPUS, 0)) >= count, "GPUs to be allocatable", HANGS)

    def apply(self, path: Path) -> None:
        """Create what a manifest describes."""
        utils.create_from_yaml(self.api.api_client, str(path), verbose=False)

    def namespace(self) -> Any | None:
        """The project's namespace, where it is there."""
        try:
            return self.api.read_namespace(NAMESPACE)
        except ApiException as error:
            if error.status != 404:
                raise
            return None

    def sign_namespace(self) -> None:
        """Note in the namespace which process made it."""
        self.api.patch_namespace(NAMESPACE, {"metadata": {"labels": {TESTED_BY: f"{os.getpid()}.{platform.node()}"}}})

    def drop_namespace(self) -> None:
        """Delete the namespace with all that is in it."""
        self.api.delete_namespace(NAMESPACE)
        wait(lambda: self.namespace() is None, "the namespace to go", HANGS)

    def allow_host_folders(self) -> None:
        """Lift the namespace's Pod Security Standard: it refuses what stands in for an image in these tests."""
        label = "pod-security.kubernetes.io/enforce"
        self.api.patch_namespace(NAMESPACE, {"metadata": {"labels": {label: "privileged"}}})

    def pods(self, **labels: str) -> list[V1Pod]:
        """Our pods."""
        selector = ",".join([COMPONENT, *(f"image-retrieval/{name}={value}" for name, value in labels.items())])
        return list(self.api.list_namespaced_pod(NAMESPACE, label_selector=selector).items)

    def log(self, name: str) -> str:
        try:
            return str(self.api.read_namespaced_pod_log(name, NAMESPACE))
        except ApiException:
            return ""

    def at_work(self, collection: str, word: str = "first batch", kind: str = "embed") -> V1Pod:
        """A pod of a collection, whose name begins with its kind, and whose program has written a word to its log."""
        found: list[V1Pod] = []

        def there() -> bool:
            pods = [pod for pod in self.pods(collection=collection) if is_of(pod, kind)]
            found[:] = [pod for pod in pods if word in self.log(pod.metadata.name)]
            return bool(found)

        wait(there, f"a pod of {collection} to say {word!r}", HANGS)
        return found[0]

    def waits_for(self, pod: V1Pod) -> str:
        """Why a pod does not run yet, in the cluster's words."""
        reasons = [found.state.waiting.reason for found in pod.status.container_statuses or () if found.state.waiting]
        return " ".join([*reasons, *(condition.message or "" for condition in pod.status.conditions or ())])

    def evict(self, pod: V1Pod) -> None:
        """Ask for an eviction, as `kubectl drain` does."""
        name = pod.metadata.name
        for version in ("policy/v1", "policy/v1beta1"):
            body = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
            try:
                self.api.create_namespaced_pod_eviction(name, NAMESPACE, body)
                return
            except ApiException as error:
                if error.status != 400 and error.status != 404:
                    raise
        raise AssertionError(f"the cluster knows no eviction of {name}")

    def copy(self, pod: V1Pod, name: str, *, command: list[str], removed: tuple[str, ...]) -> None:
        """A pod with the labels of another, but for some, that runs another command."""
        labels = {key: value for key, value in pod.metadata.labels.items() if key not in removed}
        spec = self.api.api_client.sanitize_for_serialization(pod.spec)
        spec["containers"][0] |= {"command": command, "args": [], "resources": {}}
        spec.pop("nodeName")
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
        self.api.create_namespaced_pod(NAMESPACE, body)

    def cordon(self, cordoned: bool) -> None:
        for node in self.nodes():
            self.api.patch_node(node.metadata.name, {"spec": {"unschedulable": cordoned}})

    def secret(self, name: str, values: dict[str, str]) -> None:
        body = client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data=values)
        self.api.create_namespaced_secret(NAMESPACE, body)

    def kubeconfig_of(self, account: str, path: Path) -> Path:
        """A kubeconfig with no more than the rights of a service account."""
        token = self.api.create_namespaced_service_account_token(
            account, NAMESPACE, {"spec": {"expirationSeconds": 24 * 3600}}
        ).status.token
        settings = self.api.api_client.configuration
        authority = base64.b64encode(Path(settings.ssl_ca_cert).read_bytes()).decode()
        written = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {"name": "test", "cluster": {"server": settings.host, "certificate-authority-data": authority}}
            ],
            "users": [{"name": account, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": account, "namespace": NAMESPACE}}],
        }
        path.write_text(json.dumps(written))
        path.chmod(0o600)
        return path


class History:
    """Which pods of ours ever were, seen while the block runs."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._over = cluster, threading.Event()
        self._seen: dict[str, dict[str, V1Pod]] = defaultdict(dict)
        self._at_once: dict[str, int] = defaultdict(int)
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "History":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(1):
            try:
                pods = self._cluster.pods()
            except Exception:  # a fault test may have stopped the API server
                continue
            running: Counter[str] = Counter()
            for pod in pods:
                collection = pod.metadata.labels["image-retrieval/collection"]
                self._seen[collection][pod.metadata.name] = pod
                running[collection] += pod.status.phase == "Running"
            for collection, count in running.items():
                self._at_once[collection] = max(count, self._at_once[collection])

    def specs(self, collection: str) -> list[V1Pod]:
        """Every pod of a collection, as it was last seen."""
        return list(self._seen[collection].values())

    def pods_of(self, collection: str, kind: str = "embed") -> dict[str, int]:
        """How many pods of a kind each shard of a collection has had."""
        pods = [pod for pod in self.specs(collection) if is_of(pod, kind)]
        return dict(Counter(pod.metadata.labels["image-retrieval/shard"] for pod in pods))

    def most_at_once(self, collection: str) -> int:
        """How many pods of a collection ran at the same time."""
        return self._at_once[collection]


def is_of(pod: V1Pod, kind: str) -> bool:
    """Whether a pod's name is made of a kind, such as `embed` or `caption`, and that of its collection."""
    collection = pod.metadata.labels["image-retrieval/collection"].replace("_", "-")
    return str(pod.metadata.name).startswith(f"{kind}-{collection}")


def host_template(path: Path, names: Sequence[str] = ()) -> Path:
    """A pod template with which a pod on this machine runs this checkout, from its own directories.

    `names`: of hosts that are this machine.
    """
    folders = ["/usr", "/lib", "/lib64", "/bin", "/etc", sys.base_prefix, str(ROOT)]
    folders = [folder for folder in dict.fromkeys(folders) if Path(folder).exists()]
    template = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "template"},
        "spec": {
            "hostNetwork": True,  # the object store listens on loopback
            "hostAliases": [{"ip": "127.0.0.1", "hostnames": list(names)}] if names else [],
            "containers": [
                {
                    "name": "base",
                    "volumeMounts": [
                        {"name": f"host-{number}", "mountPath": folder, "readOnly": True}
                        for number, folder in enumerate(folders)
                    ],
                }
            ],
            "volumes": [
                {"name": f"host-{number}", "hostPath": {"path": folder}} for number, folder in enumerate(folders)
            ],
        },
    }
    path.write_text(json.dumps(template))
    return path


def first_machine(training: str) -> str:
    """The name by which the pods of a training find the first one; a cluster without DNS has to be told."""
    return f"machine-0.train-{training}.{NAMESPACE}.svc"


def is_left_over(namespace: Any) -> bool:
    """Whether a namespace is of tests of this machine that were killed."""
    pid, _, host = (namespace.metadata.labels or {}).get(TESTED_BY, "").partition(".")
    return host == platform.node() and not psutil.pid_exists(int(pid))


def wait(until: Callable[[], Any], what: str, seconds: float, pause: float = 0.5) -> None:
    """Wait until something holds; fails the test where that takes too long."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, f"waited {seconds:g} seconds for {what}"
        time.sleep(pause)
