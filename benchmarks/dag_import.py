"""How long Airflow waits for each DAG file: `python -m benchmarks.dag_import`.

Each import runs in a process of its own, in which Airflow's SDK is loaded already, as it is in the DAG processor.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.needs import require, run

ROOT = Path(__file__).parents[1]
REPEATS = 5
PROGRAM = """
import sys, time
from airflow.sdk import DAG, Asset, Param, task, task_group
started = time.perf_counter()
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {"__name__": "dag_file"})
print(time.perf_counter() - started)
"""


def import_seconds(path: Path, runner: str) -> float:
    """Median seconds to import a DAG file under a runner."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "IMAGE_RETRIEVAL_HOME": str(ROOT),
            "IMAGE_RETRIEVAL_RUNNER": runner,
            "PYTHONPATH": str(ROOT / "include"),
        }
        command = [sys.executable, "-c", PROGRAM, str(path)]
        runs = [
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(REPEATS)
        ]
    return statistics.median(float(run.stdout.splitlines()[-1]) for run in runs)


def main() -> None:
    """Print the seconds of each DAG file under each runner."""
    require("airflow")
    seconds = {
        path.name: {runner: round(import_seconds(path, runner), 3) for runner in ("local", "kubernetes")}
        for path in sorted((ROOT / "dags").glob("*.py"))
    }
    print(f"{'DAG file':<28} {'local s':>8} {'kubernetes s':>13}")
    for name, found in seconds.items():
        print(f"{name:<28} {found['local']:>8.3f} {found['kubernetes']:>13.3f}")
    print(json.dumps({"import_seconds": seconds, "repeats": REPEATS}))


if __name__ == "__main__":
    run(main)
