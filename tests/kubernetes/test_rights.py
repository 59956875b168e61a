"""The Role gives what starting pods takes, and nothing else."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from cluster import HOST_IMAGE, NAMESPACE, ROOT, host_template
from conftest import ACCOUNT, LOGS, RIGHTS, SERVICES


@pytest.fixture(scope="module")
def embed_once(cluster, tmp_path_factory):
    """Start a pod with the rights of the Role; tells what came of it, and how many pods are left."""
    folder = tmp_path_factory.mktemp("rights")
    extra = {"kube_config_path": str(cluster.kubeconfig_of(ACCOUNT, folder / "kubeconfig"))}
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps({"conn_type": "kubernetes", "extra": extra}),
        "IMAGE_RETRIEVAL_HOME": str(ROOT),
        "IMAGE_RETRIEVAL_LOCAL_DIR": str(folder),
        "IMAGE_RETRIEVAL_RUNNER": "kubernetes",
        "IMAGE_RETRIEVAL_POD_IMAGE": os.environ.get("IMAGE_RETRIEVAL_TEST_IMAGE", HOST_IMAGE),
        "IMAGE_RETRIEVAL_POD_CPUS": "100m",
        "IMAGE_RETRIEVAL_POD_MEMORY": "256Mi",
        "IMAGE_RETRIEVAL_POD_SECRET": "empty",
    }
    environment.pop("KUBECONFIG", None)
    if "IMAGE_RETRIEVAL_TEST_IMAGE" not in os.environ:
        environment["IMAGE_RETRIEVAL_POD_TEMPLATE"] = str(host_template(folder / "template.json"))
    cluster.secret("empty", {})

    def run():
        script = str(Path(__file__).with_name("embed_once.py"))
        done = subprocess.run(
            [sys.executable, script, f"manual__{uuid.uuid4().hex}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout.splitlines()[-1])
        return outcome | {"logged": "42 words" in done.stdout + done.stderr, "left": bool(alive())}

    def alive():
        return [pod for pod in cluster.pods(collection="rights") if pod.metadata.deletion_timestamp is None]

    yield run
    for pod in cluster.pods(collection="rights"):
        cluster.api.delete_namespaced_pod(pod.metadata.name, NAMESPACE)


def test_the_role_is_enough(embed_once):
    assert embed_once() == {"outcome": "done", "logged": True, "left": False}


@pytest.mark.parametrize(
    "right",
    [
        pytest.param(right, marks=[] if right == LOGS else pytest.mark.slow, id=f"{right[1]} {right[0]}")
        for right in sorted(RIGHTS)
    ],
)
def test_no_right_is_too_many(embed_once, role, right):
    role(RIGHTS - {right})  # nor any for Services
    found = embed_once()
    assert found != {"outcome": "done", "logged": True, "left": False}
    assert "Traceback" not in found["outcome"]


def test_the_account_may_do_nothing_else(cluster, tmp_path):
    kubeconfig = cluster.kubeconfig_of(ACCOUNT, tmp_path / "kubeconfig")
    listed = subprocess.run(
        [
            "kubectl",
            "auth",
            "can-i",
            "--list",
            "--no-headers",
            f"--namespace={NAMESPACE}",
            f"--kubeconfig={kubeconfig}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = set()
    for line in listed.splitlines():
        resource = line.split()[0]
        verbs = line[line.rindex("[") + 1 : line.rindex("]")].split()
        if not resource.startswith("[") and not resource.startswith(
            "self"
        ):  # what everybody may: see oneself, /healthz
            found |= {(resource, verb) for verb in verbs}
    assert found == RIGHTS | SERVICES
