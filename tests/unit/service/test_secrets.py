"""A service in front of a database and a store that are not there: what it writes and answers tells no secret."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from listening import asked_of_family
from pydantic import SecretStr

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.decoders import Decoders
from image_retrieval.objects import ObjectStore, StoreUnavailable
from image_retrieval.settings import Settings

PLANTED = {
    "IMAGE_RETRIEVAL_TOKEN": "planted-token-0123456789",
    "IMAGE_RETRIEVAL_DATABASE_URL": "postgresql://planted-user:planted-p%40ssword@127.0.0.1:1/planted-db",
    "IMAGE_RETRIEVAL_S3_ENDPOINT_URL": "http://127.0.0.1:1",
    "IMAGE_RETRIEVAL_S3_ACCESS_KEY_ID": "planted-key-id",
    "IMAGE_RETRIEVAL_S3_SECRET_ACCESS_KEY": "planted-secret-key",
    "IMAGE_RETRIEVAL_STORES": '{"oss": {"access_key_id": "planted-oss-id", "secret_access_key": "planted-oss-key"}}',
    "HF_TOKEN": "planted-hub-token",
}
SECRETS = [
    "planted-token",
    "planted-p",
    "planted-user",
    "planted-key-id",
    "planted-secret-key",
    "planted-hub-token",
    "planted-oss",
]
REQUESTS = [
    ("GET", "/api/collections", None),
    ("GET", "/api/health", None),
    ("POST", "/api/search", {"collection": "x", "texts": [{"text": "planted"}]}),
    ("POST", "/api/search", {"collection": "x"}),
    ("POST", "/api/predict/x", {"function_name": "list"}),
    ("PUT", "/api/collections/x/images/a", {"base64": "AA=="}),
    ("DELETE", "/api/collections/x", None),
    ("GET", "/metrics", None),
    ("GET", "/nowhere", None),
]
# what a service is told once more by every library below it
LOUD = """
import logging, sys
from image_retrieval import cli
sys.argv = ["image-retrieval", *sys.argv[1:]]
logging.getLogger().setLevel(logging.DEBUG)
cli.script()
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("log_format", ["text", pytest.param("json", marks=pytest.mark.slow)])
def test_no_planted_secret_is_told(tmp_path, log_format):
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMAGE_RETRIEVAL_")}
    environment |= PLANTED | {"IMAGE_RETRIEVAL_HOME": str(tmp_path), "IMAGE_RETRIEVAL_LOG_FORMAT": log_format}
    command = [sys.executable, "-c", LOUD, "serve", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
    told = []
    try:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        for _ in range(200):
            try:
                client.get("/")
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        for headers in ({"Authorization": PLANTED["IMAGE_RETRIEVAL_TOKEN"]}, {"Authorization": "planted-guess"}):
            for method, path, body in REQUESTS:
                answer = client.request(method, path, json=body, headers=headers)
                told.append(f"{answer.text}{dict(answer.headers)}")
        told += asked_of_family(server.pid, lambda process: " ".join(process.cmdline()) + process.name())
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
    answers = "".join(told)
    for text in ("127.0.0.1:1", "planted-db", str(tmp_path), "psycopg", "SELECT", "Traceback"):
        assert text not in answers, text
    lines = (tmp_path / "log").read_text()
    assert "unavailable" in lines or "database" in lines
    assert "Traceback" not in lines
    for secret in SECRETS:
        assert secret not in answers
        assert secret not in lines
    if log_format == "json":
        assert all(json.loads(line)["event"] for line in lines.splitlines() if line.startswith("{"))
    assert max(map(len, lines.splitlines())) < 10_000


def test_a_decoding_process_has_no_secret_in_its_environment(monkeypatch):
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    before = {child.pid for child in psutil.Process().children()}
    with Decoders(ResampleOptions(), Settings(processes=1)) as decoders:
        with pytest.raises(Exception, match="unsupported_format"):
            decoders.resample(b"no picture")
        started = [child for child in psutil.Process().children() if child.pid not in before]
        assert started
        for child in started:
            assert not any(
                b"planted" in Path(f"/proc/{child.pid}/{name}").read_bytes() for name in ("environ", "cmdline")
            )


def test_no_library_logs_the_keys_of_the_store(caplog):
    caplog.set_level(logging.DEBUG)
    settings = Settings(
        s3_endpoint_url=PLANTED["IMAGE_RETRIEVAL_S3_ENDPOINT_URL"],
        s3_access_key_id=PLANTED["IMAGE_RETRIEVAL_S3_ACCESS_KEY_ID"],
        s3_secret_access_key=SecretStr(PLANTED["IMAGE_RETRIEVAL_S3_SECRET_ACCESS_KEY"]),
    )
    with pytest.raises(StoreUnavailable) as refused:
        ObjectStore(settings).read("s3://bucket/key")
    assert "botocore" in {record.name.partition(".")[0] for record in caplog.records}
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        assert PLANTED[f"IMAGE_RETRIEVAL_S3_{name}"] not in caplog.text + str(refused.value)
