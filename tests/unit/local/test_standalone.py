"""All of Airflow under one process: what is started, and again where it ends."""

import os
import signal
import subprocess
import sys
import time

RUN = """
import sys
from image_retrieval.local import standalone
sys.executable, standalone.PAUSE_SECONDS = sys.argv[1], 0.1
standalone.run()
"""


def test_each_component_runs_without_a_log_server_and_is_started_again(tmp_path):
    seen = tmp_path / "seen"
    program = tmp_path / "airflow"
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {seen}\ncase "$1" in db) exit 0;; api-server) exit 3;; *) exec sleep 60;; esac\n'
    )
    program.chmod(0o755)
    command = [sys.executable, "-c", RUN, str(tmp_path / "python")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        told = process.stdout.readline()
        end = time.monotonic() + 20
        while seen.read_text().count("api-server") < 2 and time.monotonic() < end:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
    assert told == "api-server ended with status 3: starting it again\n"
    first, *components = seen.read_text().splitlines()
    assert first == "db migrate"
    assert set(components) == {
        "scheduler --skip-serve-logs",
        "triggerer --skip-serve-logs",
        "dag-processor",
        "api-server",
    }


def test_a_database_that_cannot_be_brought_up_to_date_ends_it(tmp_path):
    (tmp_path / "airflow").write_text("#!/bin/sh\necho no database\nexit 4\n")
    (tmp_path / "airflow").chmod(0o755)
    done = subprocess.run([sys.executable, "-c", RUN, str(tmp_path / "python")], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (4, "no database\n")
