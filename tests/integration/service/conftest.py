"""A collection of drawn scenes under the dual encoder that ships, and clients of a service over it."""

import base64
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from image_retrieval.collection import Collection
from image_retrieval.models.shipped import DUAL
from image_retrieval.objectstore import ObjectStore
from image_retrieval.pipeline.running import run_collection
from image_retrieval.service.alone import app_alone
from image_retrieval.settings import Settings
from integration.pictures import SCENES, put

TOKEN = "a-token-of-the-tests-only"
HEADERS = {"Authorization": TOKEN}


@pytest.fixture
def served(project: Settings) -> Settings:
    source = f"s3://images/{project.database().rpartition('/')[2]}-made/"
    return project.model_copy(
        update={"token": SecretStr(TOKEN), "service_source_uri": source, "service_rate": 10_000.0}
    )


@pytest.fixture
def scenes(change_collection: Callable[..., Collection], store: ObjectStore, served: Settings) -> Collection:
    """`things`, with its vectors."""
    collection = change_collection(model={"name": "dual", "source": str(DUAL)})
    put(store, collection.source, SCENES)
    run_collection(collection, "run", served)
    return collection


@pytest.fixture
def client(served: Settings) -> Iterator[TestClient]:
    """A client with the token."""
    app = app_alone(served)
    with TestClient(app, headers=HEADERS, raise_server_exceptions=False) as client:
        yield client
    app.state.service.close()


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
