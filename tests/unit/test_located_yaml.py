import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.located_yaml import Located, Misread

WORDS = st.text(string.ascii_letters + "_- é图", min_size=1, max_size=8).map(str.strip).filter(bool)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=12
)
DOCUMENTS = st.dictionaries(WORDS, VALUES, min_size=1, max_size=4)


def misread(text: str) -> str:
    with pytest.raises(Misread) as refused:
        Located(text)
    return str(refused.value)


@given(DOCUMENTS, st.booleans())
def test_what_yaml_writes_is_read_as_it_was(document, flow):
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True)
    assert Located(text).document == document


@given(st.dictionaries(WORDS, SCALARS, min_size=1, max_size=4), st.lists(WORDS, max_size=4), st.data())
def test_a_key_that_comes_twice_is_refused_at_any_depth_with_both_lines(document, above, data):
    twice = data.draw(st.sampled_from(sorted(document)))
    lines = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=1000).splitlines()
    again = yaml.safe_dump({twice: 1}, allow_unicode=True).splitlines()
    words = [yaml.safe_dump({word: None}, allow_unicode=True).removesuffix(" null\n") for word in above]
    nested = ["  " * depth + word for depth, word in enumerate(words)]
    text = "\n".join(nested + ["  " * len(above) + line for line in lines + again])
    first, last = len(nested) + 1 + list(document).index(twice), len(nested) + len(lines) + 1
    assert misread(text).startswith(f"line {last}: ")
    assert misread(text).endswith(f"in line {first}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nno: 2", "line 2: 'no' as a key is a truth value to YAML: write it in quotes, as 'no'"),
        ("a:\n  YES: 2", "line 2: 'YES' as a key is a truth value"),
        ("on: 2", "'on' as a key is a truth value"),
        ("7: 2", "'7' as a key is a number"),
        ("1.5: 2", "'1.5' as a key is a number"),
        ("1:30: 2", "'1:30' as a key is a number"),
        ("~: 2", "'~' as a key is null"),
        ("2026-01-01: 2", "'2026-01-01' as a key is a date"),
        ("a: 1\n?\n: 2", "a key is missing before the colon"),
        ("? [a]\n: 2", "line 1: a key is a word"),
        ('a: 1\n"a": 2', "line 2: 'a' was already given in line 1"),
        ("a: {b: 1, b: 2}", "line 1: 'b' was already given"),
        ("- a: 1\n  a: 2", "line 2: 'a' was already given"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x", "line 4: '<<' was already given in line 3"),
        ("a: &a [*a]", "it contains itself"),
        ("a: &a {b: *a}", "it contains itself"),
        ("a: &a {<<: *a}", "it contains itself"),
        ("a: {<<: 5}", "<< can only merge mappings"),
        ("a: !!set {b}", "a tag such as"),
        ("a: !!seq b", "a tag such as"),
        ("a: !!binary aGk=", "a tag such as"),
        ("a: !ours b", "a tag such as '!ours'"),
        ('a: "\\ud800"', "holds an invalid character"),
        ('"\\0": 1', "holds an invalid character"),
        ("a: !!int " + "1" * 5000, "is not a number"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("[" * 100_000, "not YAML"),
    ],
)
def test_what_is_no_plain_document_is_told_by_line(text, told):
    message = misread(text)
    assert told in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("level", ["[*{0}, *{0}, *{0}, *{0}]", "{{a: *{0}, b: *{0}, c: *{0}}}"])
def test_aliases_that_stand_for_billions_are_refused(level):
    lines = ["a0: &a0 x"] + [f"a{n}: &a{n} {level.format(f'a{n - 1}')}" for n in range(1, 40)]
    assert "aliases stand for more than" in misread("\n".join(lines))


def test_merges_that_stand_for_billions_are_refused():
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)]
    assert "aliases stand for more than" in misread("\n".join(lines))


def test_anchors_and_merges_are_followed():
    located = Located("base: &base\n  a: 1\n  b: {c: 2}\nother:\n  <<: *base\n  a: 3\nsame: *base\n")
    assert located.document["other"] == {"a": 3, "b": {"c": 2}}
    assert located.document["same"] == located.document["base"]
    assert [located.line(path) for path in (("other", "a"), ("other", "b"), ("base", "a"))] == [6, 3, 2]


def test_the_first_of_several_merged_mappings_holds():
    merged = Located("x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}").document["z"]
    assert merged == {"a": 1, "b": 2}


def test_the_line_of_what_is_missing_is_that_of_what_it_is_missing_in():
    located = Located("a:\n  b:\n    - c\n    - d: 1\n")
    assert located.line(("a", "b", 1, "d")) == 4
    assert located.line(("a", "b", 1, "e", "f")) == 4
    assert located.line(("a", "x")) == 1
    assert Located("").document is None
    assert Located("").line(("a",)) == 1
