"""The stack of docker-compose.yaml: built, started, used, and started again; where an engine has the base images.

Where no registry of images can be reached, tests/stand_ins/make makes stand-ins of them.
"""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from listening import Door, stated
from manifests import ROOT

pytestmark = pytest.mark.slow

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
# where another program has them: the other tests look from inside
NO_PORTS = """
services:
  postgres: {ports: !reset []}
  objects: {ports: !reset []}
  api-server: {ports: !reset []}
"""
COPIED = (
    "dags",
    "plugins",
    "include",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    ".dockerignore",
    "docker-compose.yaml",
)
FOUND = "SELECT image_id FROM images.similar_to('demo', 'red-circle/0000', k => 5)"


def missing() -> str | None:
    """What this machine lacks to build and start the stack."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode:
        return "no Docker engine answers here"
    if subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        return "the Docker here has no compose"
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    base = re.search(r"^ARG AIRFLOW_IMAGE=(\S+)", (ROOT / "include/kubernetes/Dockerfile.airflow").read_text(), re.M)
    used = [base[1], *(services[name]["image"] for name in ("postgres", "objects"))]
    absent = [
        name for name in used if subprocess.run([docker, "image", "inspect", name], capture_output=True).returncode
    ]
    return f"base images are missing, pull them or see tests/stand_ins/make: {', '.join(absent)}" if absent else None


@dataclass(frozen=True)
class Stack:
    """A checkout of its own, as somebody with a strict umask made it, and the containers of its compose file."""

    folder: Path
    project: str

    def compose(self, *arguments: str) -> str:
        files = [f"--file={self.folder / name}" for name in ("docker-compose.yaml", "ports.yaml")]
        command = ["docker", "compose", f"--project-name={self.project}", *files, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def execute(self, service: str, *command: str) -> str:
        return self.compose("exec", "-T", service, *command)

    def program(self, *arguments: str) -> str:
        """What `image-retrieval` prints in the scheduler's container."""
        return self.execute("scheduler", "python", "-m", "image_retrieval.cli", *arguments)

    def rows(self, statement: str) -> list[str]:
        shown = self.execute("postgres", "psql", "-U", "postgres", "-At", "image_retrieval", "-c", statement)
        return shown.splitlines()

    def published(self) -> set[Door]:
        """The ports of this machine that the engine passes on."""
        rows = [json.loads(line) for line in self.compose("ps", "--format=json").splitlines()]
        found = [port for row in rows for port in row["Publishers"] or () if port["PublishedPort"]]
        return {Door(port["PublishedPort"], port["URL"]) for port in found}

    def up(self) -> None:
        """What `make compose-up` does; without ports where others have them."""
        compose = f"docker compose --project-name={self.project} --file=docker-compose.yaml --file=ports.yaml"
        make = ["make", f"--file={ROOT / 'Makefile'}", "compose-up", f"COMPOSE={compose}", "PYTHON=/no/python/here"]
        done = subprocess.run(make, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def started(self) -> dict[str, str]:
        """Each container that runs, and when it was started."""
        inspect = ["docker", "inspect", "--format={{.Name}} {{.Id}} {{.State.StartedAt}}"]
        found = subprocess.run(
            [*inspect, *self.compose("ps", "-q").split()], capture_output=True, text=True, check=True
        )
        return dict(line.split(" ", 1) for line in found.stdout.splitlines())


def is_free(door: Door) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((door.address, door.port))
        except OSError:
            return False
    return True


def close(folder: Path) -> None:
    """Take the rights of group and others from all that lies in a folder: a checkout under umask 077."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if lacks := missing():
        pytest.skip(lacks)
    folder = tmp_path_factory.mktemp("checkout")
    for name in (*COPIED, *(path.name for path in ROOT.glob("requirements*.lock"))):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, folder / name)
    (folder / "ports.yaml").write_text("services: {}\n" if all(map(is_free, stated("compose"))) else NO_PORTS)
    close(folder)
    stack = Stack(folder, f"test-{os.getpid()}")
    try:
        subprocess.run(["make", "--silent", f"--file={ROOT / 'Makefile'}", ".env"], cwd=folder, check=True)
        stack.compose("build")
        stack.up()
        yield stack
    finally:
        stack.compose("down", "--volumes")


def pasted(block: str, until: str, folder: Path, environment: dict[str, str]) -> str:
    """What a terminal shows of a block that is pasted into it, until a text comes or 15 minutes have passed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    shell = subprocess.Popen(
        ["bash", "--norc"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    shown, end = "", time.monotonic() + 900
    try:
        os.write(ours, block.encode())
        while until not in shown and time.monotonic() < end:
            if select.select([ours], [], [], 5)[0]:
                shown += os.read(ours, 4096).decode(errors="replace")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    return shown


@pytest.fixture(scope="module")
def filled(stack: Stack) -> Stack:
    """The stack after a run of the demo's two collections, the first as docs/compose.md says."""
    (block,) = re.findall(r"```sh\n(docker compose exec .*?)```", (ROOT / "docs/compose.md").read_text(), re.DOTALL)
    environment = {
        **os.environ,
        "COMPOSE_FILE": "docker-compose.yaml:ports.yaml",
        "COMPOSE_PROJECT_NAME": stack.project,
    }
    shown = pasted(block, "(5 rows)", stack.folder, environment)
    assert "(5 rows)" in shown, shown
    stack.execute("scheduler", "airflow", "dags", "test", "image_embedding_photos")
    return stack


def test_the_stack_embeds_and_searches(filled):
    assert json.loads(filled.program("healthcheck", "demo"))["dimensions"] == 128
    assert json.loads(filled.program("stats", "--json"))["demo"]["images"] > 0
    found = filled.rows(FOUND)
    assert len(found) == 5
    assert "red-circle/0000_again" in found


def test_both_models_that_ship_are_stored(filled):
    assert json.loads(filled.program("healthcheck", "photos"))["dimensions"] > 0
    assert filled.rows("SELECT count(*) FROM images.photos") == ["0"]  # nobody put one there: no image, no failure


def test_a_second_start_leaves_alone_what_runs(filled):
    before = filled.started()
    assert len(before) == len(AIRFLOW) + 2
    filled.up()
    assert filled.started() == before


def test_an_edited_collections_file_reaches_what_runs(stack):
    path = stack.folder / "include" / "collections.yaml"
    document = yaml.safe_load(path.read_text())
    document["collections"]["more"] = dict(document["collections"]["photos"], source="s3://images/more/")
    # as editors do: another file in its place
    partial = path.with_suffix(".partial")
    partial.write_text(yaml.safe_dump(document))
    partial.replace(path)
    for service in AIRFLOW:
        program = (
            "from image_retrieval.settings import load_settings; print(load_settings().collections_path.read_text())"
        )
        assert "more:" in stack.execute(service, "python", "-c", program)


def test_another_start_finds_what_was_there(filled):
    before = filled.rows(FOUND)
    filled.compose("down")
    filled.up()
    assert filled.rows(FOUND) == before
    assert json.loads(filled.program("stats", "--json"))["demo"]["images"] > 0
    assert "0 written, 0 removed" in filled.execute("scheduler", "python", "include/compose/fill_demo.py")


def test_the_stack_has_its_pools_and_its_user(stack):
    pools = json.loads(stack.execute("scheduler", "airflow", "pools", "list", "--output=json"))
    assert {"gpu", "resample"} <= {row["pool"] for row in pools}
    users = json.loads(stack.execute("scheduler", "airflow", "users", "list", "--output=json"))
    assert [row["username"] for row in users] == ["admin"]


def test_this_machine_listens_on_what_is_stated(stack):
    """Told by the engine, and by the kernel, which knows of no other address with one of these ports."""
    if "reset" in (stack.folder / "ports.yaml").read_text():
        pytest.skip(f"another program has one of the ports {sorted(stated('compose'))}")
    assert stack.published() == stated("compose")
    ports = {door.port for door in stated("compose")}
    sockets = [entry.laddr for entry in psutil.net_connections("tcp") if entry.status == psutil.CONN_LISTEN]
    assert {Door(place.port, place.ip) for place in sockets if place.port in ports} == stated("compose")


def test_containers_listen_on_what_is_stated(stack):
    """Told by the kernel: local address and port of each socket of state 0A, in hexadecimal."""
    found = set()
    for service in (*AIRFLOW, "postgres", "objects"):
        table = stack.execute(service, "sh", "-c", "cat /proc/net/tcp /proc/net/tcp6")
        for address, port in re.findall(r"^\s*\d+: (\w+):(\w{4}) \w+:0000 0A ", table, re.M):
            if not int(address, 16):  # all addresses; others reach none of loopback, where Docker's own resolver is
                found.add(int(port, 16))
    assert found == {door.port for door in stated("compose network")}


def test_what_serves_is_not_root_and_writes_to_its_volumes_only(stack):
    for service in AIRFLOW:
        assert stack.execute(service, "id", "-u").strip() == "50000"
    for service in (*AIRFLOW, "postgres", "objects"):
        status = stack.execute(service, "cat", "/proc/1/status")
        assert int(re.search(r"^Uid:\s+(\d+)", status, re.M)[1]) > 0
        assert int(re.search(r"^CapEff:\s+(\w+)", status, re.M)[1], 16) == 0
        assert re.search(r"^NoNewPrivs:\s+1", status, re.M)
        tried = stack.execute(service, "sh", "-c", "touch /etc/written 2>&1 || true")
        assert "Read-only file system" in tried
