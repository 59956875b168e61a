"""Azurite, which speaks as Azure Blob Storage does: one account, on a loopback port, in memory."""

import base64
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image_retrieval.local.processes import HOST, free_port, wait_until
from image_retrieval.objects.access import access
from image_retrieval.objects.az_client import az_client
from image_retrieval.settings import Settings

PROGRAM = Path(__file__).parent / "azurite" / "node_modules" / ".bin" / "azurite-blob"
ACCOUNT = "testaccount"


def lacking() -> str | None:
    """Why Azurite cannot start here, or None."""
    return None if PROGRAM.exists() and shutil.which("node") else "Azurite is not installed: make azurite"


@contextmanager
def azurite(folder: Path, containers: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """An entry of the settings for an account with these containers."""
    port, key = free_port(10100), base64.b64encode(secrets.token_bytes(32)).decode()
    options = [f"--blobHost={HOST}", f"--blobPort={port}", "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    log = folder / "azurite.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAM, *options, "--skipApiVersionCheck"],  # of clients that are newer than it
            cwd=folder,
            env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
            stdout=output,
            stderr=output,
        )
    try:
        entry = {"endpoint_url": f"http://{HOST}:{port}/{ACCOUNT}", "account_key": key}
        wait_until(lambda: b"successfully listens" in log.read_bytes(), "Azurite", 60, log, process.pid)
        with az_client(access("az", Settings(stores={"az": entry}))) as client:
            for name in containers:
                client.create_container(name)
        yield entry
    finally:
        process.terminate()
        process.wait(30)
