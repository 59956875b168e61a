"""The tokens of the settings: of clients, and of senders of events, who may only hint."""

import hashlib
import hmac

from fastapi import Request

from image_retrieval.errors import UserError
from image_retrieval.service.gate import Check
from image_retrieval.settings import Settings

LEAST_TOKEN = 16  # characters


def require_long(settings: Settings) -> None:
    """Raise UserError if a token is short enough to be guessed."""
    for name, token in (("TOKEN", settings.token), ("HINTS_TOKEN", settings.hints_token)):
        if 0 < len(token.get_secret_value()) < LEAST_TOKEN:
            raise UserError(f"IMAGE_RETRIEVAL_{name} has fewer than {LEAST_TOKEN} characters: use a long random text")


def may_hint(settings: Settings, otherwise: Check) -> Check:
    """A check that lets requests with the token for hints pass, and makes another check of the rest.

    A token that could be guessed lets nobody pass.
    """
    token = settings.hints_token.get_secret_value()

    async def check(request: Request) -> None:
        if len(token) < LEAST_TOKEN or not is_token(request.headers.get("authorization"), token):
            await otherwise(request)

    return check


def is_token(given: str | None, token: str) -> bool:
    """Whether a header's value is the token, compared in constant time."""
    bare = (given or "").strip()
    if bare[:7].lower() == "bearer ":
        bare = bare[7:].strip()
    digests = (hashlib.sha256(text.encode(errors="replace")).digest() for text in (bare, token))
    return hmac.compare_digest(*digests)
