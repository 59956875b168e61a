"""A release: the wheel, built from the source distribution, works in an environment without the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from image_retrieval import __version__
from image_retrieval.local import services

ROOT = Path(__file__).parents[2]
PACKAGE = Path("include/image_retrieval")
UV = Path(sys.executable).with_name("uv")
WITHOUT = shutil.ignore_patterns("__pycache__", "*.pyc")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints, with none of this process's settings."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("IMAGE_RETRIEVAL_", "PYTHON"))
    }
    done = subprocess.run(command, cwd=cwd, env=inherited | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a release is built from, so that nothing is written into the checkout."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=WITHOUT)
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--no-build-isolation", "--python", sys.executable, "--out-dir", built, sources, cwd=built)
    assert (built / f"image_retrieval-{__version__}.tar.gz").is_file()
    return built / f"image_retrieval-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment that has the wheel and what it declares for the database."""
    folder = tmp_path_factory.mktemp("environment")
    run(UV, "venv", "--python", sys.executable, folder / "venv", cwd=folder)
    install = [UV, "pip", "install", "--python", folder / "venv" / "bin" / "python", "--constraint"]
    install += [ROOT / "requirements.lock", f"{wheel}[store]"]
    try:
        run(*install, "--offline", cwd=folder)
    except AssertionError:  # uv's cache lacks something
        run(*install, cwd=folder)
    return folder / "venv" / "bin"


def test_the_wheel_holds_every_file_of_the_package(sources, wheel):
    there = {
        path.relative_to(sources / "include").as_posix() for path in (sources / PACKAGE).rglob("*") if path.is_file()
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == there
    kinds = {Path(name).suffix for name in packed}
    assert kinds >= {".py", ".sql", ".js", ".css", ".html", ".svg", ".safetensors", ".json", ".typed"}


def test_the_installed_command_says_its_version_and_helps(environment, tmp_path):
    assert run(environment / "image-retrieval", "--version", cwd=tmp_path).strip() == __version__
    assert "migrate" in run(environment / "image-retrieval", "--help", cwd=tmp_path)
    where = run(environment / "python", "-c", "import image_retrieval; print(image_retrieval.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment.parent)


def test_the_installed_command_migrates_a_database(environment, services_folder, tmp_path):
    admin, name = services.database_url(services_folder, "postgres"), f"wheel_{os.getpid()}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            url = services.database_url(services_folder, name)
            run(environment / "image-retrieval", "migrate", cwd=tmp_path, IMAGE_RETRIEVAL_DATABASE_URL=url)
            with psycopg.connect(url) as migrated:
                assert migrated.execute("SELECT count(*) FROM retrieval.image").fetchone() == (0,)
                assert migrated.execute("SELECT to_regproc('images.search_text')").fetchone() != (None,)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
