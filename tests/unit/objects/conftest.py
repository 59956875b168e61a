import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from odd_s3 import OddStore, odd_store

from image_retrieval.objects import ObjectStore, retrying

NOBODY = 65534


@pytest.fixture(scope="session")
def one_odd_store() -> Iterator[OddStore]:
    with odd_store() as store:
        yield store


@pytest.fixture
def odd(one_odd_store: OddStore, monkeypatch: pytest.MonkeyPatch) -> OddStore:
    """A store that does as it should until it is told otherwise; nobody waits long for it."""
    monkeypatch.setattr(retrying, "PAUSE", 0.001)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.001)
    one_odd_store.forget()
    return one_odd_store


@pytest.fixture
def objects(odd: OddStore) -> ObjectStore:
    return ObjectStore(odd.settings())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="image-retrieval-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def unprivileged() -> Callable[[], AbstractContextManager[None]]:
    """Without root's right to read everything, where the tests run as root."""

    @contextmanager
    def unprivileged() -> Iterator[None]:
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)

    return unprivileged
