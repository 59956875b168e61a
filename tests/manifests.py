"""A strict check of Kubernetes manifests, for the oldest version that is supported and for a current one."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
# each version of Kubernetes, and where the release of kubernetes-validate that has its schemas lies (Makefile)
VERSIONS = {"1.20": ROOT / ".venv" / "kubernetes-1.20", "1.37": None}


def assert_valid(*manifests: dict[str, Any]) -> None:
    """Each manifest fits its schema, no field is unknown, in each of VERSIONS."""
    for version, place in VERSIONS.items():
        assert place is None or place.is_dir(), f"{place} is missing: make .venv/installed-dev"
        done = subprocess.run(
            [sys.executable, "-m", "kubernetes_validate", "--strict", "--kubernetes-version", version, "-"],
            input=yaml.safe_dump_all(manifests),
            env={**os.environ, "PYTHONPATH": str(place or "")},
            capture_output=True,
            text=True,
        )
        passed = [line for line in done.stdout.splitlines() if f"against version {version}" in line]
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(passed) == len(manifests), done.stdout  # one without a schema is only warned of


def locked(name: str) -> dict[str, set[str]]:
    """The versions of each package that a lock file pins; several where they differ by Python's version."""
    text = (ROOT / name).read_text()
    pins: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", text, re.MULTILINE):
        pins.setdefault(package, set()).add(version)
    return pins
