import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import sql

import image_retrieval
from image_retrieval.store.sql import _statements, statement

FOLDER = files("image_retrieval.store") / "sql"
TEXTS = {Path(entry.name).stem: entry.read_text(encoding="utf-8") for entry in FOLDER.iterdir()}
NAMES = [(file, name) for file in TEXTS for name in _statements(file)]
CODE = [path.read_text(encoding="utf-8") for path in Path(image_retrieval.__file__).parent.rglob("*.py")]


def placeholders(file: str, name: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(_statements(file)[name]) if field is not None}


def calls() -> Iterator[tuple[str, str, set[str]]]:
    """File, statement and parts of each call of `statement` in the library that spells out its name."""
    for node in (node for text in CODE for node in ast.walk(ast.parse(text))):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "statement"
            and isinstance(node.args[1], ast.Constant)
        ):
            yield *map(ast.literal_eval, node.args), {str(word.arg) for word in node.keywords}


@pytest.mark.parametrize("file", TEXTS)
def test_every_statement_of_a_file_has_a_name_of_its_own(file):
    names = re.findall(r"^-- name: (.*)$", TEXTS[file], re.MULTILINE)
    assert names == list(_statements(file))
    assert TEXTS[file].startswith("-- name: ")


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_every_statement_is_whole(file, name):
    text = _statements(file)[name]
    assert text.endswith(";")
    assert re.sub(r"%\(\w+\)s", "", text).count("%") == 0
    assert all(re.fullmatch("[a-z_]+", field) for field in placeholders(file, name))


@pytest.mark.parametrize(("file", "name", "parts"), list(calls()))
def test_every_call_fills_every_brace(file, name, parts):
    assert placeholders(file, name) == parts


@pytest.mark.parametrize("name", ["vector_table", "vector_storage", "vector_comments"])
def test_the_statements_that_make_a_vector_table_take_the_same_parts(name):
    assert placeholders("vector_tables", name) <= {"vectors", "dimensions"}


@pytest.mark.parametrize("name", [name for _, name in NAMES])
def test_every_statement_is_used(name):
    assert any(f'"{name}"' in text for text in CODE)


def test_names_are_quoted_and_numbers_are_not():
    text = statement("vector_tables", "vector_table", vectors="vector_demo_tiny", dimensions=192).as_string()
    assert 'retrieval."vector_demo_tiny"' in text
    assert "halfvec(192)" in text


@given(st.text(min_size=1).filter(lambda name: "\0" not in name))
@example('x" CASCADE; DROP TABLE retrieval.image; --')
@example("{index}")
@example("%(name)s")
def test_no_name_breaks_out_of_its_quotes(name):
    text = statement("indexing", "drop_index", index=name, concurrently=sql.SQL("CONCURRENTLY")).as_string()
    quoted = name.replace('"', '""')
    assert text == f'DROP INDEX CONCURRENTLY IF EXISTS retrieval."{quoted}";'


def test_a_missing_part_is_noticed():
    with pytest.raises(KeyError, match="vectors"):
        statement("vector_tables", "vector_table")


def test_an_unknown_statement_is_noticed():
    with pytest.raises(KeyError, match="no_such"):
        statement("vector_tables", "no_such")
