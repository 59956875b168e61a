"""All of Airflow on this machine, as `airflow standalone` runs it, without its log servers: they listen everywhere.

python -m image_retrieval.local.standalone: runs until it is ended; whoever ends it ends what it started. The UI reads
the logs of tasks from the folder that they are written to.
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
    """Bring Airflow's database up to date, then keep all components running. Raises SystemExit where that fails."""
    airflow = str(Path(sys.executable).parent / "airflow")
    if status := subprocess.run([airflow, "db", "migrate"]).returncode:
        raise SystemExit(status)  # what it said last is what the log ends with
    running = {name: subprocess.Popen([airflow, name, *options]) for name, options in COMPONENTS.items()}
    while True:
        time.sleep(PAUSE_SECONDS)
        for name, process in running.items():
            if process.poll() is not None:
                print(f"{name} ended with {process.returncode} and is started again", flush=True)
                running[name] = subprocess.Popen([airflow, name, *COMPONENTS[name]])


if __name__ == "__main__":
    run()
