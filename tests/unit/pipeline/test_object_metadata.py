"""Values of user metadata are read as stores send them."""

from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.pipeline.object_metadata import decoded

letters = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@given(letters.filter(lambda text: "=?" not in text))
def test_a_value_is_read_from_each_form(text):
    assert decoded(text.encode().decode("latin-1")) == text  # bytes of UTF-8, as the client takes them
    assert decoded(Header(text, "utf-8").encode(splitchars="", linesep="")) == text


@pytest.mark.parametrize("value", ["", "plain", "caf\xe9", "=?no-such-charset?Q?a?=", "=?UTF-8?B?!?=", "=?"])
def test_what_has_no_form_stays_as_it_is(value):
    assert decoded(value) in (value, "")
