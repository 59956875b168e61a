"""Benchmarks say what they lack before they measure, and keep what they have measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import index_file, listing, load, ranges, search
from benchmarks.needs import folder, model, reported, require, run
from image_retrieval.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def told(monkeypatch, capsys):
    """What a benchmark says of its arguments and its surroundings, in one line."""

    def ask(benchmark, *arguments):
        monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
        with pytest.raises(SystemExit) as ended:
            benchmark.main()
        said = capsys.readouterr()
        assert said.out == ""
        return str(ended.value) if isinstance(ended.value.code, str) else said.err.strip().splitlines()[-1]

    return ask


def test_a_search_without_faiss_ends_before_it_begins(told, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)  # as where it is not installed
    assert told(search) == f"packages are missing: {sys.executable} -m pip install faiss-cpu"


@pytest.mark.parametrize("benchmark", [search, load, listing, index_file, ranges])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1e3", "٣", "9" * 5000])
def test_sizes_that_are_none_are_told(told, benchmark, value):
    assert "is no whole number from 1 to" in told(benchmark, f"--dimensions={value}")


def test_more_dimensions_than_an_index_takes_are_told(told):
    assert "from 1 to 4000" in told(search, "--dimensions=4001")


def test_a_module_that_is_missing_is_told_in_one_line():
    program = "import benchmarks, sys; sys.excepthook = benchmarks._told; import no_such_module"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "the module no_such_module is missing: `make test` installs what benchmarks need\n",
    )


def test_figures_survive_a_later_failure(capsys):
    def fails():
        with reported(rows=7, dimensions=3) as found:
            found["qps"] = 1.5
            raise RuntimeError("a later step")

    with pytest.raises(RuntimeError):
        fails()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures.pop("cores") > 0
    assert figures == {"rows": 7, "dimensions": 3, "qps": 1.5, "failed": "RuntimeError"}


def test_what_a_user_can_mend_is_told_in_one_line():
    def main():
        raise UserError("no port is free")

    with pytest.raises(SystemExit, match=r"^no port is free$"):
        run(main)


def test_folders_are_looked_at_first(tmp_path):
    for wrong in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Exception, match="is no folder that holds anything"):
            folder(str(wrong))
    (tmp_path / "a.jpg").touch()
    assert folder(str(tmp_path)) == tmp_path
    with pytest.raises(Exception, match=r"holds no config\.json"):
        model(str(tmp_path))
    require("json")
