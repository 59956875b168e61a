"""What every test may use. The services are real, and start when the first test asks for them."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from databases import own_database
from random_weights import save_random_dinov2
from xdist.scheduler import LoadScopeScheduling

from image_retrieval.cli import main
from image_retrieval.collection import Collection, find_collection
from image_retrieval.imaging.kept_decoders import keeping_decoders
from image_retrieval.local import services
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings, load_settings

NAME = "things"
# folders whose tests have costly services in common: one worker runs all of them
WITH_SERVICES = ("tests/kubernetes", "tests/browser", "tests/integration/service")


class ByServices(LoadScopeScheduling):
    """One worker runs all tests of a file, or of a folder with services."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in WITH_SERVICES if nodeid.startswith(f"{folder}/")), nodeid.split("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServices:
    return ByServices(config, log)


@pytest.fixture(scope="session")
def services_folder() -> Iterator[Path]:
    """A PostgreSQL and an S3 store of the suite's own, on ports of their own."""
    folder = Path(tempfile.mkdtemp(prefix="image-retrieval-tests-"))
    try:
        services.up(folder, lambda line: None)
        yield folder
    finally:
        services.down(folder, lambda line: None)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def kept_decoders() -> Iterator[None]:
    """The runs of a session share decoding processes, as the shards of one run do."""
    with keeping_decoders():
        yield


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_random_dinov2(folder)
    return folder


@pytest.fixture
def database_url(services_folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database that only this test sees."""
    name = f"test_{os.getpid()}_{abs(hash(request.node.nodeid)):x}"
    with own_database(services_folder, name) as url:
        yield url


@pytest.fixture
def project(
    services_folder: Path,
    database_url: str,
    random_model: Path,
    kept_decoders: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """Settings of a project of its own: one collection, `things`, in a prefix of its own."""
    for line in (services_folder / "services.env").read_text().splitlines():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)
    prefix = Path(database_url).name
    monkeypatch.setenv("IMAGE_RETRIEVAL_DATABASE_URL", database_url)
    monkeypatch.setenv("IMAGE_RETRIEVAL_HOME", str(tmp_path))
    monkeypatch.setenv("IMAGE_RETRIEVAL_COLLECTIONS_FILE", "collections.yaml")
    monkeypatch.setenv("IMAGE_RETRIEVAL_WORK_URI", f"s3://image-retrieval/{prefix}/")
    write_collections(tmp_path, source=f"s3://images/{prefix}/", model_folder=random_model)
    return load_settings()


def write_collections(home: Path, *, source: str, model_folder: Path | str, **options: Any) -> None:
    """Write a collections.yaml with one collection, `things`."""
    entry = {
        "source": source,
        "model": {"name": "random", "source": str(model_folder), "batch_size": 16},
        "id_pattern": "^(?P<group_id>[^/]+)/(?P<intra_id>.+)",
        "schedule": None,
        **options,
    }
    (home / "collections.yaml").write_text(yaml.safe_dump({"collections": {NAME: entry}}))


@pytest.fixture
def change_collection(project: Settings) -> Callable[..., Collection]:
    """Change keys of the collection's entry."""

    def change(**options: Any) -> Collection:
        entry = yaml.safe_load(project.collections_path.read_text())["collections"][NAME]
        project.collections_path.write_text(yaml.safe_dump({"collections": {NAME: entry | options}}))
        return find_collection(project.collections_path, NAME)

    return change


@pytest.fixture
def collection(project: Settings) -> Collection:
    return find_collection(project.collections_path, NAME)


@pytest.fixture
def store(project: Settings) -> ObjectStore:
    return ObjectStore(project)


@pytest.fixture
def command(project: Settings) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run image-retrieval as its console script does, in this process: importing torch takes seconds."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        output, errors, handler = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
            try:
                status = main(list(arguments))
            finally:
                signal.signal(signal.SIGTERM, handler)
                structlog.reset_defaults()  # it would go on writing to `errors`
        return subprocess.CompletedProcess(list(arguments), status, output.getvalue(), errors.getvalue())

    return run


@pytest.fixture
def report(command: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Any]:
    """Run image-retrieval and read the JSON that it prints."""

    def run(*arguments: str, **environment: str) -> Any:
        done = command(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
