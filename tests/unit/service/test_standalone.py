"""Who is let in where the service runs alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from image_retrieval.errors import UserError
from image_retrieval.service.standalone import require_token
from image_retrieval.service.tokens import is_token
from image_retrieval.settings import Settings

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("given", [TOKEN, f"Bearer {TOKEN}", f"bearer  {TOKEN}", f" {TOKEN} "])
def test_the_token_is_taken_bare_or_as_a_bearer(given):
    assert is_token(given, TOKEN)


@given(st.none() | st.text())
def test_nothing_else_is_taken(given):
    assert is_token(given, TOKEN) == ((given or "").strip() == TOKEN)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_others_are_not_served_without_a_token(host):
    with pytest.raises(UserError, match="set IMAGE_RETRIEVAL_TOKEN"):
        require_token(Settings(), host)
    require_token(Settings(token=SecretStr(TOKEN)), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_is(host):
    require_token(Settings(), host)


def test_a_short_token_is_refused():
    with pytest.raises(UserError, match="fewer than 16"):
        require_token(Settings(token=SecretStr("short")), "127.0.0.1")
