"""`image-retrieval psql` is psql on the project's database: its arguments, its exit status, its signals."""

import os
import signal
import subprocess
import sys
import time

import pytest

from integration.tables import rows


@pytest.fixture
def psql(project):
    """Start the command in a process of its own, as a shell would."""

    def start(*arguments):
        command = [sys.executable, "-m", "image_retrieval.cli", "psql", *arguments]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(command, text=True, **pipes)

    return start


def test_arguments_and_exit_status_are_those_of_psql(psql, tmp_path):
    (tmp_path / "three.sql").write_text("SELECT :n + 1;\n")
    given = {
        ("-At", "-c", "SELECT 'two words'"): (0, "two words\n"),
        ("-X", "-At", "-v", "n=2", "-f", str(tmp_path / "three.sql")): (0, "3\n"),
        ("-c", "SELECT nonsense"): (1, ""),
        ("-v", "ON_ERROR_STOP=1", "-f", str(tmp_path / "none.sql")): (1, ""),
        ("--no-such-option",): (1, ""),
    }
    started = {arguments: psql(*arguments) for arguments in given}
    for arguments, process in started.items():
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == given[arguments], arguments


def test_what_comes_on_standard_input_is_run_and_double_dashes_are_psqls(psql, database_url):
    name = database_url.rpartition("/")[2]
    process = psql("-At", "--", name)
    out, _ = process.communicate("SELECT current_database();\nSELECT 2;\n", timeout=60)
    assert (process.returncode, out) == (0, f"{name}\n2\n")


def test_a_signal_and_a_reader_that_ends_are_psqls_own(psql, database_url):
    process = psql("-c", "SELECT pg_sleep(60) /* to be interrupted */")
    query = "SELECT FROM pg_stat_activity WHERE query LIKE %s"
    end = time.monotonic() + 60
    while not rows(database_url, query, "SELECT pg_sleep(60) /* to be%"):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "canceling statement due to user request" in err) == (1, True)
    endless = psql("-At", "-c", "SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    assert endless.stdout is not None
    os.read(endless.stdout.fileno(), 10)
    endless.stdout.close()
    endless.wait(timeout=60)
    assert endless.returncode == -signal.SIGPIPE
    endless.communicate(timeout=60)
