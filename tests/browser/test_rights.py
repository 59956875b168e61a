"""Who may do what where the service stands in Airflow: every route without a login, and every change as a viewer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from dotenv import dotenv_values
from listening import asked_of_family

from browser.routes import ROUTES, at

PRINT_CLIENTS = """
import asyncio, sys
from airflow.api_fastapi.app import init_auth_manager
from fastapi import Request
from image_retrieval.service.clients import client_of_request
from orchestration.search import _may_read
init_auth_manager()
for name, value in (("authorization", "Bearer " + sys.argv[1]), ("cookie", "_token=" + sys.argv[1])):
    scope = {"type": "http", "headers": [(name.encode(), value.encode())], "client": ("10.0.0.1", 1)}
    asyncio.run(_may_read(Request(scope)))
    print("client", client_of_request(scope))
"""
READING = {
    f"/api/{name}" for name in ("search", "similar", "match", "facets", "timeline", "export")
}  # posted, and nothing is changed


CHANGES = [(method, path) for method, path in ROUTES if method != "GET" and path not in READING]


def test_there_are_routes_of_each_kind():
    assert ("GET", "/") in ROUTES
    assert ("DELETE", "/api/collections/{name}") in CHANGES
    assert ("POST", "/api/predict/{name}") in CHANGES


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_is_served_without_a_login(base, method, path):
    assert httpx.request(method, base + at(path), timeout=60).status_code == 401


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer nonsense"}, {"Cookie": "_token=nonsense"}])
def test_a_made_up_token_is_refused(base, headers):
    assert httpx.get(f"{base}/image-search/api/collections", headers=headers, timeout=60).status_code in (401, 403)


@pytest.fixture(scope="module")
def viewer(client_of):
    with client_of("viewer") as client:
        yield client


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_viewer_changes_nothing(viewer, method, path):
    answer = viewer.request(method, at(path).removeprefix("/image-search"), json={"name": "mine", "base64": "AA=="})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_naming_a_dag_of_ones_own_gives_no_right(viewer):
    assert viewer.get("/api/rights/write", params={"dag_id": "image_embedding_demo"}).status_code == 403


def test_a_viewer_searches(viewer):
    found = viewer.post("/api/search", json={"collection": "demo", "texts": [{"text": "two red circles"}]})
    assert found.status_code == 200, found.text
    assert found.json()["results"][0]["group_id"] == "red-circle"


def test_who_reads_counts_as_a_user_and_not_as_an_address(airflow_settings, token_of):
    known = {name: value or "" for name, value in dotenv_values(airflow_settings.local_path / "airflow.env").items()}
    paths = {"PYTHONPATH": str(Path(__file__).parents[2] / "include")}
    command = [sys.executable, "-c", PRINT_CLIENTS, token_of("viewer")]
    done = subprocess.run(command, env=os.environ | known | paths, capture_output=True, text=True, check=True)
    clients = [line for line in done.stdout.splitlines() if line.startswith("client ")]
    assert clients == ["client user viewer"] * 2


def test_who_may_edit_dags_may_change_something(client_of):
    with client_of("user") as user:
        assert user.get("/api/rights/write").status_code == 204
        requeued = user.post("/api/collections/demo/rejected/requeue", json={"reason": "no_such_reason"})
    assert (requeued.status_code, requeued.json()) == (200, {"requeued": 0})


def test_the_page_runs_nothing_but_its_own_modules(viewer):
    policy = viewer.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert viewer.get("/page/main.js").headers["x-content-type-options"] == "nosniff"


def test_the_api_server_imports_no_torch(airflow_settings):
    from image_retrieval.local import services

    record = json.loads((airflow_settings.local_path / "services.json").read_text())["airflow"]
    assert services.is_up(airflow_settings.local_path, "airflow")
    mapped = asked_of_family(
        record["pid"], lambda process: (" ".join(process.cmdline()).replace("-", "_"), process.memory_maps())
    )
    servers = [maps for command, maps in mapped if "api_server" in command]
    assert servers
    for maps in servers:
        assert not [each.path for each in maps if "libtorch" in each.path]
