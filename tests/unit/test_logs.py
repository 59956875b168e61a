"""A log line is one line of bounded length, and tells no secret."""

import json
import logging
import subprocess
import sys

import pytest
import structlog

from image_retrieval import logs

SECRET = "hidden" + "-letters"
FORGED = "a\n2026-01-01 [info] forged\x1b[31m\r\u2028\x85b"
HEAD = "import logging, structlog\nfrom image_retrieval import logs\nlogs.configure({!r})\n"


def written(log_format, code):
    """The lines that a process writes to standard error, each without its line end."""
    done = subprocess.run([sys.executable, "-c", HEAD.format(log_format) + code], capture_output=True, check=False)
    assert done.stdout == b""
    return done.stderr.decode().split("\n")[:-1]


FAILS = """
def fails(password):
    raise RuntimeError(text) from ValueError(f"postgresql://me:{password}@host/x")
for text in ["it fails", "it fails" + "x" * 10**7, "it fails" + FORGED]:
    try:
        fails("hidden" + "-letters")
    except RuntimeError as error:
        structlog.get_logger().error("failed", exc_info=error)
        structlog.get_logger().exception("failed")
        logging.getLogger("botocore").exception("failed")
        logging.getLogger("uvicorn.error").error("failed\\n", exc_info=error)
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_error_is_one_line_without_variables(log_format):
    lines = written(log_format, FAILS.replace("FORGED", repr(FORGED)))
    assert len(lines) == 12
    for line in lines:
        assert "it fails" in line
        assert "fails" in line.partition("RuntimeError")[2]
        assert SECRET not in line
        assert len(line) < 4 * logs.LONGEST
        assert len(line.splitlines()) == 1
        assert "\x1b" not in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_field_forges_a_line(log_format):
    code = f"structlog.get_logger().warning({FORGED!r}, uri={FORGED!r}, more=[{FORGED!r}], big='x' * 10**6)\n"
    code += f"logging.getLogger('urllib3').warning({FORGED!r})"
    first, second = written(log_format, code)
    assert all(len(line.splitlines()) == 1 and "\x1b" not in line for line in (first, second))
    assert len(first) < 2 * logs.LONGEST
    if log_format == "json":
        assert json.loads(first)["level"] == json.loads(second)["level"] == "warning"


def test_a_url_in_a_line_has_no_password():
    (line,) = written("text", f'logging.getLogger("x").warning("at %s", "http://me:{SECRET}@host/")')
    assert SECRET not in line


def test_what_no_command_catches_is_one_line():
    code = """
import sys
from image_retrieval import cli
cli.main = lambda: (_ for _ in ()).throw(RuntimeError("it fails\\n" + "x" * 10**7))
sys.argv = ["image-retrieval"]
cli.script()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("image-retrieval: failed: error: RuntimeError, text: it fails\\nx")
    assert len(line) < 4 * logs.LONGEST


def test_values_stay_what_they_are():
    fields = logs._in_one_line(None, "info", {"event": "done", "images": 3, "share": 0.5, "pids": [1, 2], "none": None})
    assert fields == {"event": "done", "images": 3, "share": 0.5, "pids": [1, 2], "none": None}


def test_lines_of_other_libraries_are_written_once():
    logs.configure("text")
    logs.configure("text")
    try:
        assert [handler.get_name() for handler in logging.getLogger().handlers].count(logs.__name__) == 1
    finally:
        root = logging.getLogger()
        root.handlers = [handler for handler in root.handlers if handler.get_name() != logs.__name__]
        structlog.reset_defaults()


def test_a_log_that_cannot_be_written_stops_nothing():
    code = "import sys\nsys.stderr.close()\nstructlog.get_logger().error('lost')\nlogging.error('lost')\nsys.exit(7)"
    done = subprocess.run([sys.executable, "-c", HEAD.format("text") + code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (7, b"")
