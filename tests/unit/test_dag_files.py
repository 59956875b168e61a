import ast
from pathlib import Path

import pytest

DAG_FILES = sorted(Path(__file__).parents[2].glob("dags/*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_there_are_dag_files():
    assert DAG_FILES


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_imports_airflow_and_orchestration_only(path):
    assert {name.split(".")[0] for name in imported(path)} <= {"airflow", "orchestration"}


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_is_wiring_that_one_reads_in_a_minute(path):
    assert len(path.read_text().splitlines()) <= 80
