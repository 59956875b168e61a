"""The search service in Airflow's API server, behind Airflow's own login and rights."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from cachetools import TTLCache
from fastapi import FastAPI, Request

TOKEN_SECONDS = 10.0  # for which a token's user is kept
_users: TTLCache[str, Any] = TTLCache(maxsize=10_000, ttl=TOKEN_SECONDS)
_checks = ThreadPoolExecutor(2, "users")


def search_app() -> FastAPI:
    """An application that becomes the service when it starts.

    Every process of Airflow loads plugins, but only the API server starts them, so the others import nothing heavy.
    """
    return FastAPI(lifespan=_serving, docs_url=None, redoc_url=None, openapi_url=None)


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[None]:
    from image_retrieval.service.app import keep_what_exists, make_app
    from image_retrieval.service.text_listener import Listener
    from orchestration.configuration import server_settings

    settings = await asyncio.to_thread(server_settings)
    service = make_app(settings, may_read=_may_read, may_write=_may_write)
    listener = Listener(service.state.service)
    app.mount("", service)
    listener.start()
    keep_what_exists()
    try:
        yield
    finally:
        await asyncio.to_thread(listener.close)
        await asyncio.to_thread(service.state.service.close)


async def _user(request: Request) -> Any:
    """The logged-in user, by a bearer token or the UI's cookie. Raises HTTPException (401, 403)."""
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    from image_retrieval.service.clients import count_for

    bearer = await bearer_scheme(request)
    token = bearer.credentials if bearer else ""
    user = _users.get(token)
    if user is None and token:  # Airflow asks its database here, which would block its event loop
        checked = get_user(request, None, bearer)
        user = _users[token] = await asyncio.get_running_loop().run_in_executor(_checks, asyncio.run, checked)
    elif user is None:  # Airflow's middleware has checked the cookie
        user = await get_user(request, None, None)
    count_for(request.scope, user.get_id(), user.get_name())
    return user


async def _may_read(request: Request) -> None:
    """Allow every logged-in user."""
    await _user(request)


async def _may_write(request: Request) -> None:
    """Allow users who may edit all DAGs: Airflow has no narrower right that fits a collection without a DAG."""
    from airflow.api_fastapi.app import get_auth_manager

    from image_retrieval.service.errors import Refused

    user = await _user(request)
    if not await asyncio.to_thread(get_auth_manager().is_authorized_dag, method="PUT", user=user):
        raise Refused(403, "forbidden", "this needs the right to edit all DAGs", "ask an administrator of Airflow")
