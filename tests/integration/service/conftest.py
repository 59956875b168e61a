"""A running service over a collection of drawn scenes, under the dual encoder that ships: one for all tests here."""

import base64
import itertools
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from databases import own_database
from pydantic import SecretStr

from image_retrieval.collection import Collection, find_collection
from image_retrieval.models.calibration import FILE as CALIBRATION_FILE
from image_retrieval.models.shipped import DUAL
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.running import run_collection
from image_retrieval.service.standalone import app_alone, server_options
from image_retrieval.service.text_listener import Listener
from image_retrieval.settings import Settings
from integration.pictures import BAD, SCENES, put

TOKEN = "a-token-of-the-tests-only"
HINTS_TOKEN = "a-token-for-hints-only"
STARTED = itertools.count()


@pytest.fixture(scope="session")
def served(services_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a project with one collection, `things`, which has vectors and rejected images."""
    name = f"service_{os.getpid()}_{next(STARTED)}"  # tests elsewhere may start another one
    home = tmp_path_factory.mktemp("service")
    model = shutil.copytree(DUAL, home / "dual", ignore=shutil.ignore_patterns(CALIBRATION_FILE))  # no result is hidden
    entry = {
        "source": f"s3://images/{name}/",
        "model": {"name": "dual", "source": str(model)},
        "id_pattern": "^(?P<group_id>[a-z]+-[a-z]+)/(?P<intra_id>.+)",
        "schedule": None,
        "watch": {},
    }
    (home / "collections.yaml").write_text(yaml.safe_dump({"collections": {"things": entry}}))
    with own_database(services_folder, name) as url:
        settings = Settings(
            _env_file=services_folder / "services.env",
            home=home,
            collections_file=Path("collections.yaml"),
            database_url=SecretStr(url),
            work_uri=f"s3://image-retrieval/{name}/",
            service_source_uri=f"s3://images/{name}-made/",
            token=SecretStr(TOKEN),
            hints_token=SecretStr(HINTS_TOKEN),
            service_rate=10_000,
            service_seconds=300,  # a busy machine loads a model slowly
            service_max_bytes=4 * 2**20,
            processes=1,
        )
        collection = find_collection(settings.collections_path, "things")
        put(ObjectStore(settings), collection.source, SCENES | {key: data for key, (data, _) in BAD.items()})
        run_collection(collection, "run", settings)
        yield settings


@pytest.fixture(scope="session")
def things(served: Settings) -> Collection:
    return find_collection(served.collections_path, "things")


@pytest.fixture(scope="session")
def address(served: Settings) -> Iterator[str]:
    """Where the service listens."""
    app = app_alone(served)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, **server_options(served)))
    listener = Listener(app.state.service)
    thread = threading.Thread(target=server.run)
    thread.start()
    listener.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    listener.close()
    app.state.service.close()


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[httpx.Client]:
    """A client that has the token."""
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=400) as client:
        yield client


@pytest.fixture(scope="session")
def ask(client: httpx.Client) -> Callable[..., Any]:
    """Post a form about the collection that must be answered; returns the answer."""

    def post(path: str, **form: Any) -> Any:
        answer = client.post(f"/api/{path}", json={"collection": "things", **form})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
