"""The stack of docker-compose.yaml, started for good: where an engine runs and has the images."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from manifests import ROOT

pytestmark = pytest.mark.slow

# the tests look from inside, and another stack may run beside this one
NO_PORTS = """
services:
  postgres: {ports: !reset []}
  objects: {ports: !reset []}
  api-server: {ports: !reset []}
"""


def missing() -> str | None:
    """What this machine lacks to start the stack."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode:
        return "no Docker engine answers here"
    if subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        return "the Docker here has no compose"
    used = subprocess.run(
        [docker, "compose", f"--file={ROOT / 'docker-compose.yaml'}", "config", "--no-interpolate", "--images"],
        capture_output=True,
        text=True,
    ).stdout.split()
    inspect = [docker, "image", "inspect"]
    absent = [name for name in used if subprocess.run([*inspect, name], capture_output=True).returncode]
    return f"images are missing, build or pull them: {', '.join(absent)}" if absent else None


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Runs a command in a service's container of a stack of the test's own."""
    if lacks := missing():
        pytest.skip(lacks)
    folder = tmp_path_factory.mktemp("stack")
    (folder / "ports.yaml").write_text(NO_PORTS)
    made = subprocess.run([sys.executable, ROOT / "include/compose/make_secrets.py"], capture_output=True, text=True)
    (folder / "env").write_text(made.stdout)
    files = [f"--file={path}" for path in (ROOT / "docker-compose.yaml", folder / "ports.yaml")]
    compose = ["docker", "compose", f"--project-name=test-{os.getpid()}", f"--env-file={folder / 'env'}", *files]

    def execute(service: str, *command: str) -> str:
        done = subprocess.run([*compose, "exec", "-T", service, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        subprocess.run([*compose, "up", "--detach", "--wait", "--no-build", "--pull=never"], check=True)
        yield execute
    finally:
        subprocess.run([*compose, "down", "--volumes"], check=True)


def test_the_stack_embeds_the_demo(stack):
    stack("scheduler", "python", "include/compose/fill_demo.py")
    program = ("scheduler", "python", "-m", "image_retrieval.cli")
    assert json.loads(stack(*program, "healthcheck", "demo"))["dimensions"] == 128
    stack("scheduler", "airflow", "dags", "test", "image_embedding_demo")
    assert json.loads(stack(*program, "stats", "--json"))["demo"]["images"] > 0


def test_the_stack_has_its_pools_and_its_user(stack):
    pools = json.loads(stack("scheduler", "airflow", "pools", "list", "--output=json"))
    assert {"gpu", "resample"} <= {row["pool"] for row in pools}
    users = json.loads(stack("scheduler", "airflow", "users", "list", "--output=json"))
    assert [row["username"] for row in users] == ["admin"]


def test_no_container_is_root(stack):
    for service in ("api-server", "scheduler", "dag-processor", "triggerer"):
        assert stack(service, "id", "-u").strip() == "50000"
