"""Airflow's image on a cluster has no torch: whatever its tasks import must load there."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys
import image_retrieval
sys.modules |= dict.fromkeys(("torch", "transformers", "safetensors", "tokenizers"))
for package in ("cli", "commands", "client", "pipeline", "store", "imaging", "objects", "models.source", "models.hub"):
    module = importlib.import_module(f"image_retrieval.{package}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), module.__name__ + "."):
        importlib.import_module(found.name)
        print(found.name)
"""


def test_what_tasks_import_loads_without_torch():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"image_retrieval.pipeline.listing", "image_retrieval.pipeline.upkeep"} <= set(done.stdout.split())
