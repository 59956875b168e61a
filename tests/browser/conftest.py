"""Airflow as `make up` starts it, with the demo collection, and a Chromium: one of each for all tests here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from databases import own_database
from dotenv import dotenv_values
from integration.pictures import BAD, put
from integration.service.conftest import address, client, served, things  # noqa: F401 - the service alone, once for all

from image_retrieval.collection import find_collection
from image_retrieval.local import airflow, services
from image_retrieval.local.filling import ensure_model, mirror, scene_pictures
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.running import run_collection
from image_retrieval.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
MARKUP = "bad/<img src=x onerror=alert(1)>.jpg"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PRINT_TOKEN = """
import sys
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
user = SimpleAuthManagerUser(username=sys.argv[1], role=sys.argv[1], teams=None)
print("token", create_auth_manager().generate_jwt(user))
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)  # Airflow starts and stops


@pytest.fixture(scope="package")
def airflow_settings(services_folder: Path) -> Iterator[Settings]:
    """Settings of a project whose Airflow runs, and whose demo collection has images, copies and rejected files."""
    name = f"browser_{os.getpid()}"
    with own_database(services_folder, name) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGE_RETRIEVAL_HOME", str(ROOT))
        patch.setenv("IMAGE_RETRIEVAL_LOCAL_DIR", str(services_folder))
        patch.setenv("IMAGE_RETRIEVAL_DATABASE_URL", url)
        patch.setenv("IMAGE_RETRIEVAL_SERVICE_SECONDS", "300")  # a busy machine loads a model slowly
        settings = load_settings()
        demo = find_collection(settings.collections_path, "demo")
        ensure_model(demo.model.source, settings)
        mirror(scene_pictures(), demo.source, settings)
        store = ObjectStore(settings)
        put(store, demo.source, {key: data for key, (data, _) in BAD.items()} | {MARKUP: b"<script>alert(1)</script>"})
        store.write(f"{demo.source}red-circle/copy.jpg", store.read(f"{demo.source}red-circle/0000.jpg", limit=2**24))
        run_collection(demo.model_copy(update={"captions": None}), "run", settings)
        try:
            airflow.up(settings, lambda line: None)
            yield settings
        finally:
            services.down(services_folder, lambda line: None, ("airflow",))


@pytest.fixture(scope="package")
def base(airflow_settings: Settings) -> str:
    """Where Airflow's UI is."""
    return f"http://{services.address(airflow_settings.local_path, 'airflow')}"


@pytest.fixture(scope="package")
def token_of(airflow_settings: Settings) -> Callable[[str], str]:
    """A token of Airflow's own for a user of this role: viewer, user, op, admin."""
    known = {name: value or "" for name, value in dotenv_values(airflow_settings.local_path / "airflow.env").items()}

    @cache
    def issue(role: str) -> str:
        command = [sys.executable, "-c", PRINT_TOKEN, role]
        done = subprocess.run(command, env=os.environ | known, capture_output=True, text=True, check=True)
        return next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("token "))

    return issue


@pytest.fixture(scope="package")
def client_of(base: str, token_of: Callable[[str], str]) -> Callable[[str], httpx.Client]:
    """A client of the service in Airflow, for a user of this role."""

    def connect(role: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token_of(role)}"}
        return httpx.Client(base_url=f"{base}/image-search", headers=headers, timeout=400)

    return connect


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium fonts-noto-cjk)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def shots(airflow_settings: Settings) -> Path:
    """Where screenshots are kept after the tests."""
    folder = ROOT / ".local" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def open_as(chromium: Any, base: str, token_of: Callable[[str], str]) -> Iterator[Callable[..., Any]]:
    """Open the page in Airflow's frame as a user of this role; fails where a script of it has failed."""
    contexts, failures = [], []

    def go(role: str = "admin", path: str = "", **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": 1400, "height": 900}, **options)
        context.set_default_timeout(120_000)
        context.add_cookies([{"name": "_token", "value": token_of(role), "url": base}])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("dialog", lambda dialog: failures.append(f"a dialog says {dialog.message}"))
        page.goto(f"{base}/plugin/image-search{path}")
        return page

    yield go
    for context in contexts:
        context.close()
    assert failures == []
