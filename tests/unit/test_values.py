"""What people give: taken, or refused in words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.values import MOST_LETTERS, NEW_ID_BYTES, new_image_id, plain_text, printable, query_text

ANY = st.text(st.characters(), max_size=30)


def refusal(check, value):
    """What a check says of a value that it refuses, None where it returns it as it is."""
    try:
        assert check(value) == value
    except ValueError as refused:
        return str(refused)
    return None


@given(ANY)
def test_a_text_to_search_for_is_text_that_can_be_seen(text):
    told = refusal(query_text, text)
    assert told is None or told.startswith(("holds", "is blank"))
    if told is None:
        assert text.encode()
        assert "\0" not in text
        assert unicodedata.normalize("NFKC", text).strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\t",
        "\u3000",
        "\u00a0",
        "\u200b",
        "\ufeff",
        "\u2060\u200d",
        "\u3164",
        "\u2800",
        "\ufe0f",
        "\u202e \u202c",
    ],
)
def test_what_nothing_is_seen_of_is_blank(text):
    with pytest.raises(ValueError, match="blank"):
        query_text(text)


@pytest.mark.parametrize(
    "text", ["a", " a ", "ｔｗｏ\u3000ｒｅｄ", "🔴", "👩\u200d🚀", "e\u0301", "\u05d0", "\U0001fae8", "\ue000", "?"]
)
def test_what_is_seen_is_searched_for(text):
    assert query_text(text) == text


def test_a_text_is_as_long_as_models_may_read():
    assert query_text("e\u0301" * (MOST_LETTERS // 2))
    with pytest.raises(ValueError, match="1001 characters"):
        query_text("x" * (MOST_LETTERS + 1))


@given(ANY)
def test_a_new_id_is_a_key_under_its_folder(text):
    if refusal(new_image_id, text) is not None:
        return
    assert len(text.encode()) <= NEW_ID_BYTES
    assert not {"", ".", ".."} & set(text.split("/"))
    assert not set(text) & set("\\\0\n")


@given(ANY)
def test_what_is_shown_is_one_line(text):
    shown = printable(text)
    assert not set(shown) & {"\n", "\r", "\x1b", "\x9b", "\u2028", "\u202e"}
    assert shown.encode().decode() == shown
    assert shown == text or "\\" in shown


@given(st.binary(max_size=20))
def test_bytes_of_an_argument_are_text_or_told(data):
    text = data.decode("utf-8", "surrogateescape")
    told = refusal(plain_text, text)
    assert told is None or "NUL characters" in told
    assert told is not None or text.encode() == data
