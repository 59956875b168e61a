"""What holds of every module: how long it is, what it imports, and that rows have types with names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
INCLUDE = TESTS.parent / "include"
MODULES = {
    str(path.relative_to(INCLUDE)): ast.parse(path.read_text(encoding="utf-8"))
    for package in ("image_retrieval", "orchestration")
    for path in sorted((INCLUDE / package).rglob("*.py"))
}
LIBRARY = "image_retrieval/"
STORE, PIPELINE, OBJECTS = (f"{LIBRARY}{name}/" for name in ("store", "pipeline", "objects"))
REASON = "One module, since "  # how the docstring of a longer one begins a line
FUNCTION_LINES, MODULE_LINES = 60, 300
ANY_ROW = ("dict[str, Any]", "Mapping[str, Any]", "tuple[Any, ...]", "DictRow")
JSON = {  # what a column of JSON holds, or is asked for
    "store/collections.py:_Stored.definition",
    "store/images.py:Description.attributes",
    "store/loaders.py:ShownFacts.attributes",
    "store/loaders.py:_attributes",
    "store/search.py:Filter",
    "store/sidecars.py:About.about",
    "pipeline/shown.py:Shown.calibrations",
    "pipeline/shown.py:_calibrations",
}
DATABASE = {"psycopg", "psycopg_pool", "pgvector", "pgpq", "sqlalchemy", "alembic"}
STATEMENTS = (
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "DELETE ",
    "WITH ",
    "CREATE ",
    "ALTER ",
    "DROP ",
    "CALL ",
    "COPY ",
    "SET ",
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def below(*folders: str) -> list[str]:
    return [name for name in MODULES if name.startswith(folders)]


def functions(module: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(module) if isinstance(node, Function))


def annotated(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The types that a module writes down, with the names of what has them: functions, fields and aliases."""
    for function in functions(module):
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        given += [more for more in (function.args.vararg, function.args.kwarg) if more]
        for annotation in (function.returns, *(argument.annotation for argument in given)):
            if annotation is not None:
                yield function.name, annotation
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign):
                    yield f"{node.name}.{ast.unparse(field.target)}", field.annotation
    for node in module.body:
        if isinstance(node, ast.Assign):
            yield ast.unparse(node.targets[0]), node.value


def imported(module: ast.Module) -> Iterator[str]:
    """The packages that a module imports, anywhere in it."""
    for node in ast.walk(module):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.partition(".")[0] for name in names)


def texts(module: ast.Module) -> Iterator[str]:
    """The strings of a module but for its docstrings."""
    documented = (ast.Module, ast.ClassDef, *Function.__args__)
    docstrings = {id(node.body[0].value) for node in ast.walk(module) if isinstance(node, documented) and
                  node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("name", MODULES)
def test_no_function_is_longer_than_a_screen(name):
    lengths = {found.name: (found.end_lineno or 0) - found.lineno + 1 for found in functions(MODULES[name])}
    assert {function: lines for function, lines in lengths.items() if lines > FUNCTION_LINES} == {}


@pytest.mark.parametrize("name", MODULES)
def test_a_long_module_says_why_it_is_one(name):
    lines = len((INCLUDE / name).read_text(encoding="utf-8").splitlines())
    assert lines <= MODULE_LINES or f"\n{REASON}" in (ast.get_docstring(MODULES[name]) or "")


def test_rows_have_types_with_names():
    untyped = {
        f"{name.removeprefix(LIBRARY)}:{owner}"
        for name in below(STORE, PIPELINE)
        for owner, annotation in annotated(MODULES[name])
        if any(row in ast.unparse(annotation) for row in ANY_ROW)
    }
    assert untyped == JSON | {"store/rows.py:Connection"}  # what psycopg gives where nobody names a type


def test_the_store_alone_speaks_to_the_database():
    elsewhere = {name for name in MODULES if DATABASE.intersection(imported(MODULES[name]))} - set(below(STORE))
    assert elsewhere == set()


def test_objects_alone_speaks_to_stores():
    stores = {"azure", "boto3", "botocore", "google"}
    elsewhere = {name for name in MODULES if stores.intersection(imported(MODULES[name]))}
    assert elsewhere - set(below(OBJECTS)) == set()


def test_no_statement_is_written_outside_the_store():
    elsewhere = {
        (name, text)
        for name in set(MODULES) - set(below(STORE))
        for text in texts(MODULES[name])
        if text.lstrip().startswith(STATEMENTS) or " retrieval." in text
    }
    assert elsewhere == set()


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_a_test_takes_nothing_from_another_one(path):
    module = ast.parse(path.read_text(encoding="utf-8"))
    modules = {node.module or "" for node in ast.walk(module) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in modules if name.rpartition(".")[2].startswith("test_")]
