"""Airflow's API server keeps to the service's limits on connections."""

import importlib
import sys

import pytest
import uvicorn
from uvicorn import config

from image_retrieval.service.connections import LimitedConnection
from orchestration import airflow_local_settings
from orchestration.server_limits import SWITCH_SECONDS


async def app(scope, receive, send): ...


@pytest.mark.parametrize(("command", "limited"), [("api-server", True), ("scheduler", False)])
def test_the_api_server_alone_is_limited(monkeypatch, command, limited):
    monkeypatch.setattr(config, "HTTP_PROTOCOLS", dict(config.HTTP_PROTOCOLS))
    monkeypatch.setattr("sys.argv", ["airflow", command])
    seconds: list[float] = []
    monkeypatch.setattr(sys, "setswitchinterval", seconds.append)
    importlib.reload(airflow_local_settings)
    server = uvicorn.Config(app, log_config=None)  # as `airflow api-server` makes it
    server.load()
    assert issubclass(server.http_protocol_class, LimitedConnection) == limited
    assert seconds == ([SWITCH_SECONDS] if limited else [])


def test_what_airflow_reads_sets_no_policy():
    assert airflow_local_settings.__all__ == []
