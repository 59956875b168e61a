"""JSON that is taken is what PostgreSQL keeps and what an answer can show again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from image_retrieval.strict_json import DEPTH, MOST_VALUES, NotStrict, read_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**307), 10**307)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)
ANY = st.recursive(
    st.none() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(VALUES, st.booleans())
def test_what_json_can_say_is_read(value, as_bytes):
    text = json.dumps(value, ensure_ascii=as_bytes)
    assert read_json(text.encode() if as_bytes else text) == value


def refusal(given):
    """What is said of a text that is refused, None where it is read."""
    try:
        read_json(given)
    except NotStrict as refused:
        return str(refused)
    return None


@given(ANY)
def test_what_is_read_can_be_written_in_utf_8_without_special_numbers(value):
    text = json.dumps(value)
    told = refusal(text)
    assert told is None or told.isprintable()
    if told is None:
        written = json.dumps(read_json(text), ensure_ascii=False, allow_nan=False).encode()
        assert b"\\u0000" not in written


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data):
    assert refusal(data) != ""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"", "Expecting value"),
        (b"{", "line 1 column 2"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"[1e400]", "too large"),
        (b"9" * 309, "too large"),
        (b"[" + b"9" * 5000 + b"]", "too large"),
        (b'{"a": 1, "a": 1}', "same name twice"),
        (b'{"a": {"b": 1, "b": 2}}', "same name twice"),
        (b'["\\ud800"]', "lone surrogates"),
        (b'{"\\udfff": 1}', "lone surrogates"),
        (b'["a\\u0000"]', "NUL"),
        ('{"é": 1}'.encode("latin-1"), "not UTF-8 from byte 2"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), "line 1"),
        (b"+AHs-+AH0-", "line 1"),
        (b"[" * (DEPTH + 2) + b"]" * (DEPTH + 2), "nested deeper"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
    ],
)
def test_what_is_more_than_json_is_told(given, told):
    with pytest.raises(NotStrict) as refused:
        read_json(given)
    assert told in str(refused.value)
    assert isinstance(refused.value, json.JSONDecodeError)


def test_a_byte_order_mark_is_no_part_of_it():
    assert read_json(b"\xef\xbb\xbf{}") == read_json("\ufeff{}") == {}


def test_the_deepest_that_is_read_can_be_answered():
    class Answer(BaseModel):
        held: object

    deepest = read_json("[" * (DEPTH + 1) + "]" * (DEPTH + 1))
    assert Answer(held=deepest).model_dump_json()


def test_millions_of_values_are_refused_unread():
    assert len(read_json("[" + "1," * (MOST_VALUES - 2) + "1]")) == MOST_VALUES - 1
    for text in ("[" + "[]," * MOST_VALUES + "0]", "[" * MOST_VALUES + "0,", "[" + "1," * MOST_VALUES + "1]"):
        for sent in (text, text.encode()):
            with pytest.raises(NotStrict, match="more than 100000 values"):
                read_json(sent)
