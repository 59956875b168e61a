"""What the Dockerfiles install, in clean environments: the same locks, the same commands, without an engine."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from manifests import ROOT
from psycopg import sql

from image_retrieval.local import services
from image_retrieval.local.airflow import POOLS
from integration.pictures import SCENES, put
from integration.tables import rows

CUDA = ("nvidia-", "cuda-", "triton==")  # the torch of a machine without a GPU does without
AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
USER = ["--role=Admin", "--username=admin", "--email=a@localhost.local", "--firstname=A", "--lastname=A"]

pytestmark = pytest.mark.slow


def install(folder: Path, *locks: str, project: Path | None = None) -> Path:
    """A virtual environment with what locks say, one after the other, and its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    uv = [Path(sys.executable).parent / "uv", "pip", "install", "--quiet", f"--python={folder / 'venv/bin/python'}"]
    found = {"UV_FIND_LINKS": os.environ["PIP_FIND_LINKS"]} if "PIP_FIND_LINKS" in os.environ else {}  # as pip would

    def add(*arguments: str | Path) -> None:
        subprocess.run([*uv, "--no-deps", "--no-build-isolation", *arguments], env=os.environ | found, check=True)

    for lock in locks:
        pinned = re.split(r"\n(?=\w)", (ROOT / lock).read_text())  # each with its hashes
        pinned = [one for one in pinned if not one.startswith(CUDA)]
        torch = [one for one in pinned if one.startswith("torch==") and found]  # another build has other hashes
        (folder / lock).write_text("\n".join(one for one in pinned if one not in torch))
        add("--require-hashes", "-r", folder / lock)
        for one in torch:
            add("--no-verify-hashes", one.split()[0])
    if project:
        add(project)
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("build")
    for name in ("pyproject.toml", "README.md", "LICENSE", "include"):
        (build / name).symlink_to(ROOT / name)
    folder = tmp_path_factory.mktemp("embedding")
    return install(folder, "requirements-embedding.lock", project=build)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("airflow"), "requirements-build.lock", "requirements-airflow.lock")


def test_the_embedding_image_embeds(embedding, project, collection, store, report, command, random_model, tmp_path):
    put(store, collection.source, SCENES)
    run = report("list", "things")["run"]
    assert command("resample", "things", "--run", run).returncode == 0
    work = f"{project.work_uri}work/things/{run}"
    model = f"--model={random_model}"
    there = {name: value for name, value in os.environ.items() if name != "IMAGE_RETRIEVAL_DATABASE_URL"}

    def execute(*arguments: str) -> str:
        done = subprocess.run(
            [embedding / "image-retrieval", *arguments],
            env=there | {"IMAGE_RETRIEVAL_HOME": str(tmp_path), "PYTHONPATH": ""},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(execute("healthcheck", model))["dimensions"] == 192
    execute("embed", f"{work}/resampled/00000.parquet", f"{work}/embeddings/00000.parquet", model)
    assert command("upsert", "things", "--run", run).returncode == 0
    assert report("run", "things", "--run", run)["state"] == "success"
    assert rows(project.database(), "SELECT count(*) FROM images.things") == [(len(SCENES),)]


def test_the_embedding_image_holds_neither_airflow_nor_a_database_driver(embedding):
    listed = subprocess.run([embedding / "python", "-c", "import torch, image_retrieval"], capture_output=True)
    assert listed.returncode == 0
    for name in ("airflow", "psycopg", "sqlalchemy", "kubernetes"):
        assert subprocess.run([embedding / "python", "-c", f"import {name}"], capture_output=True).returncode == 1


@pytest.mark.parametrize("image", ["embedding", "airflow"])
def test_what_the_images_hold_may_be_taken(image, request):
    python = request.getfixturevalue(image) / "python"
    done = subprocess.run([python, ROOT / "tests" / "licences.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_airflows_image_prepares_both_databases(airflow, services_folder, database_url, tmp_path):
    name = f"{Path(database_url).name}_airflow"
    with psycopg.connect(services.database_url(services_folder, "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    metadata = services.database_url(services_folder, name).replace("postgresql://", "postgresql+psycopg2://", 1)
    environment = {
        "PATH": f"{airflow}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "include"),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGER,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "IMAGE_RETRIEVAL_HOME": str(ROOT),
        "IMAGE_RETRIEVAL_DATABASE_URL": database_url,
        "IMAGE_RETRIEVAL_RUNNER": "kubernetes",
    }

    def execute(*command: str | Path) -> str:
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        for _ in range(2):  # at each start
            execute(ROOT / "include" / "kubernetes" / "prepare.sh")
            execute("airflow", "users", "create", *USER, "--password=secret")
        pools = {row["pool"]: row for row in json.loads(execute("airflow", "pools", "list", "--output=json"))}
        assert {pool: int(pools[pool]["slots"]) for pool in POOLS} == {
            pool: one["slots"] for pool, one in POOLS.items()
        }
        assert pools["gpu"]["include_deferred"] == "True"
        assert rows(database_url, "SELECT count(*) FROM retrieval.image") == [(0,)]
        errors = execute("airflow", "dags", "list-import-errors", "--local", "--output=json")
        assert json.loads(errors.splitlines()[-1]) == []
    finally:
        with psycopg.connect(services.database_url(services_folder, "postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
