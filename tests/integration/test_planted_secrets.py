"""Secrets of the settings and of Airflow's connections stand in no log: of a run alone, and of tasks in Airflow."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
import yaml
from psycopg import sql

from image_retrieval.local import airflow, services
from image_retrieval.models.shipped import VISION
from image_retrieval.objects import ObjectStore
from image_retrieval.private import write_private
from image_retrieval.settings import load_settings
from integration.pictures import BAD, SCENES, put

pytestmark = pytest.mark.slow  # three runs a case, or an Airflow

ROOT = Path(__file__).parents[2]
MARK = "planted5b1c"  # in each part of each secret
ROLE, PASSWORD = "somebody", f"{MARK}/{MARK}@{MARK}%{MARK}"
STORE = {"S3_ACCESS_KEY_ID": f"{MARK}keyid", "S3_SECRET_ACCESS_KEY": f"{MARK}/key+{MARK}"}
OTHERS = {"IMAGE_RETRIEVAL_TOKEN": f"{MARK}-token", "HF_TOKEN": f"{MARK}-hub", "AWS_SESSION_TOKEN": f"{MARK}-session"}
# where secrets are kept: what Airflow's tasks are given, and its user's password
KEPT = {"airflow.env", airflow.PASSWORDS}
FAILS = """
from airflow.sdk import DAG, task
from orchestration.configuration import task_settings

@task(retries=0)
def fail():
    settings = task_settings()
    url, variables = settings.database(), settings.environment()
    raise RuntimeError("nobody foresaw this") from ValueError(len(url))

with DAG("fails", schedule=None):
    fail()
"""
# with all that libraries below have to tell
LOUD = """
import logging, sys
from image_retrieval import cli
sys.argv = ["image-retrieval", *sys.argv[1:]]
logging.getLogger().setLevel(logging.DEBUG)
cli.script()
"""


@pytest.fixture(scope="module")
def planted() -> Iterator[Path]:
    """The folder of services whose every secret holds the mark, and of a project of theirs with some pictures."""
    folder = Path(tempfile.mkdtemp(prefix="image-retrieval-marked-"))
    try:
        secrets = {"POSTGRES_PASSWORD": f"{MARK}-postgres", **STORE}
        write_private(folder / "secrets.env", "".join(f"{name}={value}\n" for name, value in secrets.items()))
        services.up(folder, lambda line: None)
        change_password(folder, PASSWORD, create=True)
        shutil.copytree(ROOT / "dags", folder / "dags")
        (folder / "dags" / "fails.py").write_text(FAILS)
        for name in ("include", "plugins"):
            (folder / name).symlink_to(ROOT / name)
        entry = {"source": "s3://images/in/", "model": {"name": "v", "source": str(VISION)}, "schedule": None}
        (folder / "collections.yaml").write_text(yaml.safe_dump({"collections": {"things": entry}}))
        with pytest.MonkeyPatch.context() as patch:
            plant(patch, folder)
            pictures = dict(list(SCENES.items())[:4]) | {key: data for key, (data, _) in BAD.items()}
            put(ObjectStore(load_settings()), entry["source"], pictures)
        yield folder
    finally:
        services.down(folder, lambda line: None)
        shutil.rmtree(folder)


def change_password(folder: Path, password: str, *, create: bool = False) -> None:
    change = "CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}" if create else "ALTER ROLE {} PASSWORD {}"
    with psycopg.connect(services.database_url(folder, "postgres")) as connection:
        connection.execute(sql.SQL(change).format(sql.Identifier(ROLE), sql.Literal(password)))


def database_url(folder: Path) -> str:
    place = services.address(folder, "postgres")
    return f"postgresql://{ROLE}:{quote(PASSWORD, safe='')}@{place}/{services.DATABASE}"


def plant(patch: pytest.MonkeyPatch, folder: Path, **more: str) -> None:
    """Put the secrets into the environment, and what names the project."""
    for name in [name for name in os.environ if name.startswith(("IMAGE_RETRIEVAL_", "AIRFLOW_", "AWS_"))]:
        if name != "AWS_CA_BUNDLE":
            patch.delenv(name)
    values = {
        "IMAGE_RETRIEVAL_HOME": str(folder),
        "IMAGE_RETRIEVAL_LOCAL_DIR": str(folder),
        "IMAGE_RETRIEVAL_COLLECTIONS_FILE": str(folder / "collections.yaml"),
        "IMAGE_RETRIEVAL_S3_ENDPOINT_URL": f"http://{services.address(folder, 's3')}",
        "IMAGE_RETRIEVAL_DATABASE_URL": database_url(folder),
        **{f"IMAGE_RETRIEVAL_{name}": value for name, value in STORE.items()},
        **OTHERS,
    }
    for name, value in (values | more).items():
        patch.setenv(name, value)


def in_connections(folder: Path) -> dict[str, str]:
    """The same secrets as Airflow's connections; what they replace holds others."""
    login = {"login": STORE["S3_ACCESS_KEY_ID"], "password": STORE["S3_SECRET_ACCESS_KEY"]}
    extra = {"endpoint_url": f"http://{services.address(folder, 's3')}"}
    return {
        "AIRFLOW_CONN_IMAGE_RETRIEVAL_POSTGRES": database_url(folder),
        "AIRFLOW_CONN_IMAGE_RETRIEVAL_S3": json.dumps({"conn_type": "aws", **login, "extra": extra}),
        "IMAGE_RETRIEVAL_DATABASE_URL": f"postgresql://me:{MARK}@127.0.0.1:9/nothing",
        "IMAGE_RETRIEVAL_S3_SECRET_ACCESS_KEY": f"{MARK}-other",
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_planted_secret_is_told_by_a_run(planted, monkeypatch, log_format):
    plant(monkeypatch, planted, IMAGE_RETRIEVAL_LOG_FORMAT=log_format)

    def run(**more: str) -> str:
        command = [sys.executable, "-c", LOUD, "run", "things"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | more, cwd=planted)
        return done.stdout + done.stderr

    told = [
        run(),
        run(IMAGE_RETRIEVAL_S3_SECRET_ACCESS_KEY=f"{MARK}-wrong"),
        run(IMAGE_RETRIEVAL_DATABASE_URL=database_url(planted).replace("@", f"{MARK}@")),
    ]
    for lines, expected in zip(told, ("embedded", "refuses access", "password authentication failed"), strict=True):
        assert expected in lines
        assert "Traceback" not in lines
        assert hidden(lines) == []


def hidden(lines: str) -> list[str]:
    """The lines that hold a secret."""
    return [line[:1000] for line in lines.splitlines() if MARK in line]


@dataclass(frozen=True)
class House:
    """A project's Airflow."""

    folder: Path
    client: httpx.Client

    def trigger(self, dag: str) -> str:
        airflow.wait_for_dag(self.client, dag)
        airflow.pause(self.client, dag, False)
        return airflow.trigger(self.client, dag)

    def run(self, dag: str) -> tuple[str, str]:
        """State and logs of a run that has ended."""
        run = self.trigger(dag)
        wait(lambda: airflow.run_state(self.client, dag, run) in ("success", "failed"))
        return airflow.run_state(self.client, dag, run), self.logs(dag, run)

    def logs(self, dag: str, run: str) -> str:
        """What Airflow shows of a run's tasks: all that they wrote, and their rendered arguments."""
        shown = []
        for instance in airflow.task_instances(self.client, dag, run):
            path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{instance['task_id']}/logs/1"
            shown += [json.dumps(instance), self.client.get(path, params={"map_index": instance["map_index"]}).text]
        return "\n".join(shown)


def wait(reached: Callable[[], bool], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.5)


@contextmanager
def started_airflow() -> Iterator[House]:
    settings = load_settings()
    try:
        airflow.up(settings, lambda line: None)
        with airflow.connect(settings) as client:
            yield House(settings.local_path, client)
    finally:
        services.down(settings.local_path, lambda line: None, ("airflow",))


@pytest.mark.parametrize(("log_format", "level", "given"), [("text", "INFO", dict), ("json", "DEBUG", in_connections)])
def test_no_planted_secret_is_told_in_airflow(planted, monkeypatch, log_format, level, given):
    values: dict[str, Any] = given() if given is dict else given(planted)
    values |= {"IMAGE_RETRIEVAL_LOG_FORMAT": log_format, "AIRFLOW__LOGGING__LOGGING_LEVEL": level}
    plant(monkeypatch, planted, **values)
    with started_airflow() as house:
        told = {"embed": house.run("image_embedding_things"), "fails": house.run("fails")}
        if given is dict:  # one that a variable holds comes before one that the UI was given
            wrong = {"login": STORE["S3_ACCESS_KEY_ID"], "password": f"{MARK}-wrong", "conn_type": "aws"}
            extra = json.dumps({"endpoint_url": os.environ["IMAGE_RETRIEVAL_S3_ENDPOINT_URL"]})
            body = {"connection_id": "image_retrieval_s3", **wrong, "extra": extra}
            house.client.post("/connections", json=body).raise_for_status()
            told["refused"] = house.run("image_embedding_things")
            house.client.delete("/connections/image_retrieval_s3").raise_for_status()
        try:
            change_password(planted, f"{MARK}-new")
            run = house.trigger("image_embedding_things")
            wait(lambda: "password authentication failed" in house.logs("image_embedding_things", run))
            told["database"] = ("failed", house.logs("image_embedding_things", run))
        finally:
            change_password(planted, PASSWORD)
    assert {name: state for name, (state, _) in told.items()} == {**dict.fromkeys(told, "failed"), "embed": "success"}
    assert "nobody foresaw this" in told["fails"][1]
    assert "refuses access" in told.get("refused", ("", "refuses access"))[1]
    for _, logs in told.values():
        assert hidden(logs) == []
    files = [path for path in (planted / "airflow").rglob("*") if path.is_file() and path.name not in KEPT]
    assert any(path.match("logs/dag_id=fails/*/*/*.log") for path in files)
    assert {path.name: hidden(path.read_bytes().decode(errors="replace")) for path in files if holds(path)} == {}


def holds(path: Path) -> bool:
    return MARK.encode() in path.read_bytes()
