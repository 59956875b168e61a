"""Airflow on this machine: its environment, its start, and a small client of its REST API."""

import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from dotenv import dotenv_values

from image_retrieval.errors import UserError
from image_retrieval.local import services
from image_retrieval.local.processes import HOST, end_marked, free_port, start, wait_until
from image_retrieval.private import make_private_folder, write_private
from image_retrieval.redaction import redacted
from image_retrieval.settings import PREFIX, Settings

FIRST_PORT = 8080
USER = "admin"
PASSWORDS = "simple_auth_manager_passwords.json.generated"  # Airflow's name, in its home
POOLS = {
    "resample": {"slots": 1, "description": "Each of these tasks uses all cores of its worker."},
    "gpu": {"slots": 1, "include_deferred": True, "description": "GPUs (or local processes) that embed at once."},
}
UP_SECONDS = 600  # 20 seconds on two idle cores; a busy machine takes minutes


def up(settings: Settings, say: Callable[[str], None]) -> bool:
    """Start Airflow unless it is running. Returns whether it was started. Raises UserError."""
    if services.is_up(settings.local_path, "airflow"):
        wait_until_ready(settings, None)  # the command that started it may have been killed
        return False
    try:
        pid, port = launch(settings)
        wait_until_ready(settings, pid)
    except BaseException:
        services.down(settings.local_path, lambda line: None, ("airflow",))
        raise
    say(f"started airflow on {HOST}:{port}")
    return True


def invitation(settings: Settings) -> str:
    """The address of the running Airflow's UI, with user and password."""
    port = services.address(settings.local_path, "airflow").rpartition(":")[2]
    return f"Airflow's UI: http://localhost:{port}, user {USER}, password {password(settings)}"


def launch(settings: Settings) -> tuple[int, int]:
    """Start Airflow without waiting until it is ready. Returns its process id and the port of its UI."""
    folder = settings.local_path
    end_marked(str(folder / "airflow"))  # left by a start that was killed
    port = free_port(FIRST_PORT)
    values = environment(settings, port)
    _write_environment(folder / "airflow.env", values)
    make_private_folder(folder / "airflow")
    _make_password(folder / "airflow")
    _write_local_settings(settings)
    command = [sys.executable, "-m", "image_retrieval.local.standalone"]
    pid = start(command, folder / "airflow" / "log", values, settings.home.resolve(), str(folder / "airflow"))
    services.record(folder, "airflow", pid, port)
    return pid, port


def environment(settings: Settings, port: int) -> dict[str, str]:
    """The environment in which any `airflow` command works on this project. Holds secrets."""
    home, folder = settings.home.resolve(), settings.local_path
    database = services.database_url(folder, "airflow").replace("postgresql://", "postgresql+psycopg2://", 1)
    known = _known(folder / "airflow.env")
    keys = {
        name: known.get(name) or secrets.token_urlsafe(32)
        for name in ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY")
    }
    return {
        **keys,
        f"{PREFIX}HOME": str(home),
        f"{PREFIX}LOCAL_DIR": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "6",
        # takes a second, but much longer while a model uses all cores
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "180",
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "240",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "AIRFLOW__API__WORKERS": "1",
        # no log server runs; only root could start one on port 1, where the UI would ask for a running task's log
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": "1",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": "1",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(home / "include"), os.environ.get("PYTHONPATH")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


def _known(path: Path) -> dict[str, str | None]:
    try:
        return dotenv_values(path)
    except UnicodeError:  # broken file: new keys only end the users' sessions
        return {}


def _write_environment(path: Path, values: dict[str, str]) -> None:
    write_private(path, "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items() if name != "PATH"))


def _make_password(folder: Path) -> None:
    """Generate the password of Airflow's user if there is none: Airflow itself would write it to its log."""
    if not (folder / PASSWORDS).exists():
        write_private(folder / PASSWORDS, json.dumps({USER: secrets.token_urlsafe(16)}) + "\n")


def _write_local_settings(settings: Settings) -> None:
    """Put the project's airflow_local_settings.py where Airflow reads it."""
    own = settings.home.resolve() / "include" / "orchestration" / "airflow_local_settings.py"
    read = settings.local_path / "airflow" / "config" / own.name
    make_private_folder(read.parent)
    write_private(read, own.read_text(encoding="utf-8"))


def password(settings: Settings) -> str:
    """The password of Airflow's user."""
    path = settings.local_path / "airflow" / PASSWORDS
    try:
        return str(json.loads(path.read_bytes())[USER])
    except (OSError, ValueError, KeyError):
        raise UserError(f"{path} holds no password for {USER}: `make down`, delete the file, `make up`") from None


def wait_until_ready(settings: Settings, pid: int | None) -> None:
    """Wait until UI, scheduler and DAG processor are healthy, and create the pools. Raises UserError."""
    base = f"http://{services.address(settings.local_path, 'airflow')}"

    def healthy() -> bool:
        try:
            parts = httpx.get(f"{base}/api/v2/monitor/health", timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(parts.get(name, {}).get("status") == "healthy" for name in ("scheduler", "dag_processor"))

    wait_until(healthy, "Airflow", UP_SECONDS, settings.local_path / "airflow" / "log", pid)
    with answering(settings), connect(settings) as client:
        for name, pool in POOLS.items():
            if client.get(f"/pools/{name}").status_code == httpx.codes.NOT_FOUND:
                client.post("/pools", json={"name": name, **pool}).raise_for_status()


def connect(settings: Settings) -> httpx.Client:
    """A logged-in client of the running Airflow's API; paths are relative to /api/v2."""
    base = f"http://{services.address(settings.local_path, 'airflow')}"
    login = {"username": USER, "password": password(settings)}
    token = (
        httpx.post(f"{base}/auth/token", json=login, timeout=120, trust_env=False)
        .raise_for_status()
        .json()["access_token"]
    )
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=f"{base}/api/v2", headers=headers, timeout=120, trust_env=False)  # no proxy


@contextmanager
def answering(settings: Settings) -> Iterator[None]:
    """Turn failed requests to Airflow's API into a UserError."""
    try:
        yield
    except httpx.HTTPError as error:
        log = settings.local_path / "airflow" / "log"
        raise UserError(f"a request to Airflow failed: {redacted(str(error))[:200]}; see {log}") from None


def wait_for_dag(client: httpx.Client, dag_id: str, seconds: float = 120) -> None:
    """Wait until the DAG processor has read a DAG. Raises UserError, with the import error if there is one."""
    end = time.monotonic() + seconds
    while client.get(f"/dags/{dag_id}").status_code != httpx.codes.OK:
        errors = client.get("/importErrors").json().get("import_errors", [])
        if errors:
            last = errors[0]["stack_trace"].strip().splitlines()[-1]
            raise UserError(f"{errors[0]['filename']} cannot be imported: {last}")
        if time.monotonic() > end:
            raise UserError(f"Airflow did not find the DAG {dag_id} within {seconds:.0f} seconds")
        time.sleep(0.5)


def trigger(client: httpx.Client, dag_id: str) -> str:
    """Start a run of a DAG through the scheduler; returns its run id."""
    answer = client.post(f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": {}}).raise_for_status()
    return str(answer.json()["dag_run_id"])


def is_paused(client: httpx.Client, dag_id: str) -> bool:
    """Whether a DAG is paused."""
    return bool(client.get(f"/dags/{dag_id}").raise_for_status().json()["is_paused"])


def pause(client: httpx.Client, dag_id: str, paused: bool) -> None:
    """Pause or unpause a DAG."""
    client.patch(f"/dags/{dag_id}", json={"is_paused": paused}).raise_for_status()


def run_state(client: httpx.Client, dag_id: str, run_id: str) -> str:
    """The state of a run: queued, running, success or failed."""
    return str(client.get(f"/dags/{dag_id}/dagRuns/{run_id}").raise_for_status().json()["state"])


def task_instances(client: httpx.Client, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """The task instances of a run, including each mapped one."""
    found: list[dict[str, Any]] = []
    while True:
        page = (
            client.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 100, "offset": len(found)})
            .raise_for_status()
            .json()
        )
        found += page["task_instances"]
        if not page["task_instances"] or len(found) >= page["total_entries"]:
            return found


def task_log(client: httpx.Client, dag_id: str, run_id: str, instance: dict[str, Any]) -> list[str]:
    """The log lines of a task instance's last try."""
    answer = client.get(
        f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{instance['task_id']}/logs/{instance['try_number']}",
        params={"map_index": instance["map_index"]},
        headers={"Accept": "application/json"},
    )
    content = answer.json().get("content", []) if answer.is_success else []
    return [str(line.get("event", line)) if isinstance(line, dict) else str(line) for line in content]
