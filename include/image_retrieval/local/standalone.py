"""Runs all of Airflow like `airflow standalone`, but without its log servers, which listen on all addresses.

`python -m image_retrieval.local.standalone` runs until it is ended. The command that ends it must also end the
processes that it started. The UI reads the logs of tasks from their folder.
"""

import subprocess
import sys
import time
from pathlib import Path

COMPONENTS = {
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "api-server": [],
    "triggerer": ["--skip-serve-logs"],
}
PAUSE_SECONDS = 5  # before a component that ended is started again


def run() -> None:
    """Bring Airflow's database up to date, then keep all components running. Raises SystemExit if the update fails."""
    airflow = str(Path(sys.executable).parent / "airflow")
    if status := subprocess.run([airflow, "db", "migrate"]).returncode:
        raise SystemExit(status)  # so its message is the last line of the log
    running = {name: subprocess.Popen([airflow, name, *options]) for name, options in COMPONENTS.items()}
    while True:
        time.sleep(PAUSE_SECONDS)
        for name, process in running.items():
            if process.poll() is not None:
                print(f"{name} ended with status {process.returncode}: starting it again", flush=True)
                running[name] = subprocess.Popen([airflow, name, *COMPONENTS[name]])


if __name__ == "__main__":
    run()
