"""The service without Airflow: the settings' token, and its own server."""

import os
from ipaddress import ip_address
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.security import APIKeyHeader
from starlette.middleware.trustedhost import TrustedHostMiddleware

from image_retrieval.errors import UserError
from image_retrieval.service.app import keep_what_exists, make_app
from image_retrieval.service.clients import VARIABLE, trusted_proxies
from image_retrieval.service.connections import limited_connection
from image_retrieval.service.errors import Refused
from image_retrieval.service.text_listener import Listener
from image_retrieval.service.tokens import is_token, require_long
from image_retrieval.settings import Settings

log = structlog.get_logger()
HEADER = APIKeyHeader(
    name="Authorization", auto_error=False, description="IMAGE_RETRIEVAL_TOKEN, with or without `Bearer ` before it"
)


def app_alone(settings: Settings) -> FastAPI:
    """The application, which asks for the settings' token; without a token it answers only to loopback names."""
    token = settings.token.get_secret_value()

    async def authorised(request: Request) -> None:
        if token and not is_token(request.headers.get("authorization"), token):
            raise Refused(401, "unauthorized", "no valid token", "send the token in the header Authorization")

    app = make_app(settings, may_read=authorised, may_write=authorised, open_page=True, documented_by=HEADER)
    if not token:  # else a page of another site could reach this service under its own host name
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]"])
    return app


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until the process is asked to end.

    Raises UserError if others could reach the service without a token, or pass for other clients.
    """
    require_token(settings, host)
    options = server_options(settings)
    app = app_alone(settings)
    keep_what_exists()
    listener = Listener(app.state.service)
    listener.start()
    name = f"[{host}]" if ":" in host else host
    log.info("serving", page=f"http://{name}:{port}/")
    try:
        uvicorn.run(app, host=host, port=port, **options)
    finally:
        listener.close()
        app.state.service.close()


def server_options(settings: Settings) -> dict[str, Any]:
    """The options of uvicorn besides the application, host and port. Raises UserError."""
    proxies = trusted_proxies(os.environ.get(VARIABLE, ""))
    return {
        "http": limited_connection(settings),
        "ws": "none",
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": proxies,
        "timeout_keep_alive": 30,
        "log_config": None,
        "access_log": False,
        "server_header": False,
    }


def require_token(settings: Settings, host: str) -> None:
    """Raise UserError if this address needs a token and there is none, or if a token is short."""
    token = settings.token.get_secret_value()
    if not token and not _is_loopback(host):
        raise UserError(
            f"other machines can reach {host}: set IMAGE_RETRIEVAL_TOKEN to a long random text, or serve on 127.0.0.1"
        )
    require_long(settings)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
