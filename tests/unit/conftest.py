"""Unit tests see no settings of the machine they run on, and draw their examples without a clock."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from image_retrieval.settings import PREFIX

hypothesis.settings.register_profile("unit", deadline=None, max_examples=100)
hypothesis.settings.load_profile("unit")


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """A command that a test ran configures the logs of its own standard error, which no later test has."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder; no other setting comes from the environment."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(f"{PREFIX}HOME", str(tmp_path))
    return tmp_path
