"""Writes a model's files under a prefix, one process at a time, so that no two models mix."""

import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectMissing, ObjectStore
from image_retrieval.private import open_private
from image_retrieval.settings import Settings

log = structlog.get_logger()


@contextmanager
def alone_here(target: str, settings: Settings) -> Iterator[None]:
    """Let one process of this machine and project at a time make the model of a prefix; another one waits.

    The kernel releases the lock of a process that is killed.
    """
    settings.local_path.mkdir(parents=True, exist_ok=True)
    path = settings.local_path / f".adding-{hashlib.sha256(target.encode()).hexdigest()[:16]}.lock"
    file = _locked(path, target)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def put_model(folder: Path, target: str, settings: Settings) -> None:
    """Write a model's files under a prefix that ends in `/`, within `alone_here`; config.json comes last.

    Without that file the folder is no model, so what a killed process left there is removed. Raises UserError if there
    is a model, or if another machine or project is writing one.
    """
    store = ObjectStore(settings)
    paths = sorted(folder.iterdir(), key=lambda path: path.name == "config.json")
    with _claimed(f"{target.rstrip('/')}.lock", store, settings):
        require_no_model(target, store)
        store.delete_under(target)
        try:
            for path in paths:
                store.upload(path, target + path.name)
        except BaseException:
            store.try_delete([target + path.name for path in paths])
            raise


def require_no_model(target: str, store: ObjectStore) -> None:
    """Raise UserError if there is a model under a prefix that ends in `/`."""
    if store.exists(f"{target}config.json"):
        name = target.rstrip("/").rpartition("/")[2]
        raise UserError(f"there is a model {name!r} in {target}: give another name, or remove that folder")


def _locked(path: Path, target: str) -> int:
    """The locked file of that path."""
    while True:
        file = open_private(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that adds this model", target=target)
            fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file)):
                return file
        os.close(file)  # who held the lock removed the file


@contextmanager
def _claimed(uri: str, store: ObjectStore, settings: Settings) -> Iterator[None]:
    """Hold an object that tells other machines and projects to keep away. Raises UserError if one of them holds it."""
    own = {"machine": socket.gethostname(), "folder": str(settings.local_path.resolve())}
    store.create(uri, json.dumps(own).encode())
    holder = _holder(uri, store)
    if holder != own:  # its own may be left by a killed process
        where = " ".join(map(str, holder.values()))[:200] or "unknown"
        raise UserError(
            f"another process is writing this model ({where}): wait until it is done, or remove {uri} if it was stopped"
        )
    try:
        yield
    finally:
        store.try_delete([uri])


def _holder(uri: str, store: ObjectStore) -> dict[str, Any]:
    try:
        found = json.loads(store.read(uri))
    except (ObjectMissing, ValueError):  # it has just been removed, or is no claim
        return {}
    return found if isinstance(found, dict) else {}
