"""The service without Airflow: a token from the settings, and a server of its own."""

import hashlib
import hmac
from ipaddress import ip_address

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.security import APIKeyHeader
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from image_retrieval.errors import UserError
from image_retrieval.service.app import make_app
from image_retrieval.service.errors import Refused, problem
from image_retrieval.service.listening import Listener
from image_retrieval.service.routes.page import PATHS
from image_retrieval.settings import Settings

HEADER = APIKeyHeader(
    name="Authorization", auto_error=False, description="IMAGE_RETRIEVAL_TOKEN, with or without `Bearer ` before it"
)
LEAST_TOKEN = 16  # characters


def app_alone(settings: Settings) -> FastAPI:
    """The application behind the settings' token; without one, for this machine only: only its own names are served."""
    token = settings.token.get_secret_value()

    async def authorised(given: str | None = Depends(HEADER)) -> None:  # async: another would take a thread
        if token and not is_token(given, token):
            raise _unauthorised()

    app = make_app(settings, may_read=authorised, may_write=authorised, open_page=True, documented=True)
    if token:
        app.add_middleware(TokenGate, token=token)
    else:  # else a page of another site could reach this one under a name of its own
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]"])
    return app


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until asked to end. Raises UserError where others could reach it without a token."""
    require_token(settings, host)
    app = app_alone(settings)
    listener = Listener(app.state.service)
    listener.start()
    try:
        uvicorn.run(
            app, host=host, port=port, log_config=None, access_log=False, timeout_keep_alive=30, server_header=False
        )
    finally:
        listener.close()
        app.state.service.close()


def require_token(settings: Settings, host: str) -> None:
    """Raise UserError where this address needs a token and there is none, or a short one."""
    token = settings.token.get_secret_value()
    if not token and not _is_loopback(host):
        raise UserError(
            f"others could reach {host}: set IMAGE_RETRIEVAL_TOKEN to a long random text, or serve on 127.0.0.1 only"
        )
    if token and len(token) < LEAST_TOKEN:
        raise UserError(f"IMAGE_RETRIEVAL_TOKEN has fewer than {LEAST_TOKEN} characters: take a long random text")


def is_token(given: str | None, token: str) -> bool:
    """Whether a header's value is the token, compared in a time that does not tell how much of it is right."""
    bare = (given or "").strip()
    if bare[:7].lower() == "bearer ":
        bare = bare[7:].strip()
    digests = (hashlib.sha256(text.encode(errors="replace")).digest() for text in (bare, token))
    return hmac.compare_digest(*digests)


class TokenGate:
    """Refuses who has no token before anything of the request's body is read; the page's files are open."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"").decode("latin-1")
        is_open = scope["type"] != "http" or (scope["method"] in ("GET", "HEAD") and scope["path"] in PATHS)
        if not is_open and not is_token(given, self._token):
            await problem(_unauthorised())(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _unauthorised() -> Refused:
    return Refused(401, "unauthorized", "no valid token", "send it in the header Authorization")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
