import json
from pathlib import Path

import pytest

from image_retrieval import __version__
from image_retrieval.cli import main
from image_retrieval.commands.stages import new_run_id
from image_retrieval.errors import Reason

COLLECTIONS = """
collections:
  shoes:
    source: s3://images/shoes/
    model: {name: tiny, source: models/tiny}
    schedule: null
  hats:
    source: s3://images/hats/
    model: {name: tiny, source: models/tiny}
    resample: {method: bicubic}
"""


@pytest.fixture(autouse=True)
def collections_file(home: Path) -> Path:
    path = home / "include" / "collections.yaml"
    path.parent.mkdir()
    path.write_text(COLLECTIONS)
    return path


@pytest.fixture
def refusal(capsys):
    """The one line on standard error that a command ends with, with status 2."""

    def told(*arguments: str) -> str:
        status = main(list(arguments))
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        assert err.startswith("image-retrieval: ")
        assert err.count("\n") == 1
        return err

    return told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["required: COMMAND", "image-retrieval --help"]),
        (["serach"], ["invalid choice: 'serach'", "search"]),
        (["--verbose"], ["required: COMMAND"]),
        (["stats", "--verbose"], ["unrecognized arguments: --verbose"]),
        (["collections"], ["required: ACTION", "image-retrieval collections --help"]),
        (["collections", "print"], ["invalid choice: 'print'", "list", "show"]),
        (["collections", "show"], ["required: COLLECTION", "image-retrieval collections show --help"]),
        (["collections", "drop"], ["required: COLLECTION"]),
        (["collections", "drop", "shoes"], ["no database is configured"]),
        (["collections", "show", "gloves"], ["unknown collection 'gloves'", "shoes, hats"]),
        (["list"], ["required: COLLECTION", "image-retrieval list --help"]),
        (["run"], ["required: COLLECTION"]),
        (["upkeep"], ["required: COLLECTION", "image-retrieval upkeep --help"]),
        (["run", "gloves"], ["unknown collection 'gloves'", "shoes, hats"]),
        (["run", "shoes", "--shard-size", "0"], ["--shard-size: '0' is not a number from 1"]),
        (["run", "shoes", "--shard-size", "many"], ["--shard-size: 'many' is not a number from 1"]),
        (["run", "shoes", "--shard-size", "²"], ["--shard-size: '²' is not a number from 1"]),
        (["run", "shoes", "--shard-size"], ["--shard-size: expected one argument"]),
        (["run", "shoes", "--shard-size", "9" * 5000], ["--shard-size"]),
        (["resample", "shoes"], ["required: --run"]),
        (["upsert", "shoes", "--run", "r", "--shard", "1.5"], ["--shard: '1.5' is not a number from 0"]),
        (["upsert", "shoes", "--run", "r", "--shard", "-1"], ["--shard: "]),
        (["embed", "in", "out"], ["required: --model"]),
        (["embed", "in", "out", "--model", "m", "--dtype", "int8"], ["--dtype: invalid choice: 'int8'"]),
        (["healthcheck"], ["one of the arguments COLLECTION --model is required"]),
        (["healthcheck", "shoes", "--model", "m"], ["not allowed with argument"]),
        (["healthcheck", "gloves"], ["unknown collection 'gloves'"]),
        (["healthcheck", "--model", "m", "--dtype", "int8"], ["--dtype: invalid choice: 'int8'"]),
        (["search", "shoes"], ["one of the arguments --image --id --text is required"]),
        (["search", "shoes", "--id", "a", "--image", "b"], ["--image: not allowed with argument --id"]),
        (["search", "shoes", "--id", "a", "-k", "x"], ["-k: 'x' is not a number from 1"]),
        (["export", "shoes"], ["required: URI"]),
        (["export", "gloves", "there"], ["unknown collection 'gloves'"]),
        (["export", "shoes", "there"], ["no database is configured"]),
        (["import", "shoes"], ["required: URI", "image-retrieval import --help"]),
        (["import", "gloves", "there"], ["unknown collection 'gloves'"]),
        (["search", "shoes", "--id", "a", "--text", "b"], ["--text: not allowed with argument --id"]),
        (["embed-text", "shoes"], ["required: TEXT"]),
        (["embed-text", "gloves", "a"], ["unknown collection 'gloves'"]),
        (["search", "gloves", "--id", "a", "--mode", "words"], ["--mode words searches by a text: give --text TEXT"]),
        (["match", "a.jpg"], ["required: B"]),
        (["match", "a.jpg", "b.jpg", "--collection", "gloves"], ["unknown collection 'gloves'"]),
        (["match", "a.jpg", "b.jpg"], ["a.jpg cannot be read"]),
        (["serve", "--host", "0.0.0.0"], ["set IMAGE_RETRIEVAL_TOKEN"]),
        (["serve", "--host", "example.org"], ["set IMAGE_RETRIEVAL_TOKEN"]),
        (["serve", "--port", "x"], ["--port: 'x' is not a number from 1"]),
        (["services", "restart"], ["invalid choice: 'restart'", "up", "down", "status"]),
        (["stats"], ["no database is configured", "IMAGE_RETRIEVAL_DATABASE_URL"]),
        (["rejected", "shoes"], ["no database is configured"]),
        (["rejected", "shoes", "--requeue"], ["no database is configured"]),
        (["rejected", "shoes", "--reason", "mood"], ["--reason: invalid choice: 'mood'", *map(str, Reason)]),
        (["rejected", "shoes", "--limit", "0"], ["--limit: '0' is not a number from 1"]),
        (["rejected", "shoes", "--limit", "3", "--requeue"], ["--requeue: not allowed with argument --limit"]),
        (["rejected", "shoes", "--by-reason", "--requeue"], ["--requeue: not allowed with argument --by-reason"]),
        (["resample", "shoes", "--run", "r"], ["no database is configured"]),
    ],
)
def test_a_mistake_is_told_in_one_line(refusal, arguments, told):
    message = refusal(*arguments)
    assert [part for part in told if part not in message] == []


def test_a_wrong_setting_is_told_in_one_line(refusal, monkeypatch):
    monkeypatch.setenv("IMAGE_RETRIEVAL_PROCESSES", "many")
    assert "setting IMAGE_RETRIEVAL_PROCESSES: " in refusal("collections", "list")


def test_a_wrong_collection_is_told_in_one_line(refusal, collections_file):
    collections_file.write_text(COLLECTIONS.replace("bicubic", "cubic"))
    message = refusal("collections", "list")
    assert [part for part in (str(collections_file), "hats.resample.method", "'bicubic'") if part not in message] == []


@pytest.mark.parametrize("name", ["list", "show", "run"])
def test_a_missing_collections_file_is_told_in_one_line(refusal, collections_file, name):
    collections_file.unlink()
    arguments = {"list": ["collections", "list"], "show": ["collections", "show", "shoes"], "run": ["run", "shoes"]}
    assert f"{collections_file} does not exist" in refusal(*arguments[name])


@pytest.mark.parametrize(("arguments", "shown"), [(["--help"], "COMMAND"), (["--version"], __version__)])
def test_help_and_version_are_printed(capsys, arguments, shown):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert shown in capsys.readouterr().out


def test_collections_are_listed_in_a_table(capsys):
    assert main(["collections", "list"]) == 0
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()] == [
        ["collection", "source", "model", "schedule"],
        ["shoes", "s3://images/shoes/", "tiny", "by", "hand"],
        ["hats", "s3://images/hats/", "tiny", "@daily"],
    ]


def test_collections_are_listed_in_json(capsys):
    assert main(["collections", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["shoes", "hats"]
    assert found["hats"]["resample"]["method"] == "bicubic"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_collection_is_shown_with_its_defaults(capsys, options):
    assert main(["collections", "show", "shoes", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == "s3://images/shoes/"
    assert found["resample"]["target_size"] is None
    assert found["schedule"] is None
    assert "name" not in found


def test_new_runs_have_names_of_their_own():
    names = {new_run_id() for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("cli__") for name in names)
