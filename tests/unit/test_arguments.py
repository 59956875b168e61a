"""The process's arguments are bytes: what they may be, for every command and every argument."""

import argparse
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.cli import _parser, main
from image_retrieval.commands.arguments import model_name
from image_retrieval.errors import UserError
from image_retrieval.image_inputs import named_image
from image_retrieval.settings import Settings

PARSER = _parser()
NOT_UTF_8 = os.fsdecode(b"caf\xe9")
NAMES_OF_FILES = {("search", "image"), ("match", "a"), ("match", "b"), ("demo", "images"), ("export", "folder")}


def leaves(parser, path=()):
    """Every command, as the words that name it, with its parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield from leaves(sub, (*path, name))
            return
    yield path, parser


def filled(parser, bad):
    """Arguments that would do for a command, but for one."""
    grouped = [action for group in parser._mutually_exclusive_groups for action in group._group_actions]
    for action in parser._actions:
        usual = "a" if action.type is model_name else "1"
        value = NOT_UTF_8 if action is bad else action.choices[0] if action.choices else usual
        if action.option_strings:
            if action is bad or action.required:
                yield from (action.option_strings[-1], value)[: 1 if action.nargs == 0 else 2]
        elif action is bad or (action.nargs != "*" and action not in grouped):
            yield value


EVERY = [
    pytest.param(path, parser, action, id=f"{' '.join(path)} {action.dest}")
    for path, parser in leaves(PARSER)
    if path != ("psql",)  # whose arguments are another program's
    for action in parser._actions
    if action.nargs != 0
]


@pytest.mark.parametrize(("path", "parser", "action"), EVERY)
def test_no_command_takes_what_is_not_utf_8_but_names_of_files(path, parser, action):
    given_ = [*path, *filled(parser, action)]
    if (path[-1], action.dest) in NAMES_OF_FILES:
        options = PARSER.parse_args(given_)
        assert os.fsencode(getattr(options, action.dest)) == b"caf\xe9"
        return
    with pytest.raises(UserError) as told:
        PARSER.parse_args(given_)
    assert "caf\\udce9" in str(told.value)


ARGUMENTS = st.binary(max_size=12).filter(lambda data: b"\0" not in data).map(os.fsdecode)


@given(*[ARGUMENTS] * 6)
def test_any_arguments_of_a_search_are_right_or_told_in_one_line(collection, image_id, k, least, text, filter_):
    for query in (("--id", image_id), ("--text", text)):
        given_ = ["search", f"-k={k}", f"--min-similarity={least}", f"--filter={filter_}", f"{query[0]}={query[1]}"]
        try:
            options = PARSER.parse_args([*given_, "--", collection])
        except UserError:
            continue
        assert f"{options.collection}{options.id}{options.text}".encode()
        assert options.k >= 1
        assert math.isfinite(options.min_similarity)


@given(ARGUMENTS)
def test_a_number_is_what_it_says_or_told(given_):
    try:
        found = PARSER.parse_args(["search", "a", "--id", "b", f"-k={given_}"]).k
    except UserError:
        return
    assert 1 <= found <= 1_000_000
    assert int(given_) == found


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search", "a", "--id", "b", "-k", "3000000000"], "-k: '3000000000' is not a number from 1 to 1000000"),
        (["search", "a", "--id", "b", "--min-similarity", "nan"], "'nan' is not a finite number"),
        (["search", "a", "--id", "b", "--min-similarity", "1e400"], "'1e400' is not a finite number"),
        (["search", "a", "--id", "b", "--filter", '{"width": NaN}'], "NaN is not a number in JSON"),
        (["search", "a", "--id", "b", "--filter", '{"width": {"gte": 1e400}}'], "a number is too large"),
        (["search", "a", "--id", "b", "--filter", '{"group_id": "\\ud800"}'], "lone surrogates"),
        (["search", "a", "--id", "b", "--filter", '{"width": 1, "width": 2}'], "same name twice"),
        (["search", "a", "--text", "\u3000"], "is blank"),
        (["embed-text", "a", " "], "is blank"),
        (["search", "a", "--text", "x" * 1001], "has 1001 characters"),
        (["search", NOT_UTF_8, "--id", "b"], "bytes that are not UTF-8"),
        (["run", "a", "--run", ""], "1 to 250 characters"),
        (["run", "a", "--shard-size", "99999999999999999999"], "is not a number from 1 to 1000000"),
        (["serve", "--port", "70000"], "is not a number from 1 to 65535"),
        (["stats", "a\nb\x1b[31m"], "unrecognized arguments: a\\nb\\x1b[31m"),
        ([NOT_UTF_8], "caf\\udce9"),
    ],
)
def test_what_is_out_of_range_is_one_line(capsys, arguments, told):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"a\nb.jpg", b"\xff"])
def test_the_name_of_a_picture_may_be_any_bytes(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"a picture")
    options = PARSER.parse_args(["search", "a", "--image", str(path)])
    assert named_image(options.image, Settings()) == b"a picture"
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        named_image(options.image, Settings())
