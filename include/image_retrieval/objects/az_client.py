"""Creates a client of Azure Blob Storage, from the settings and Azure's own environment."""

import logging
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ExponentialRetry
from requests import Session
from requests.adapters import HTTPAdapter

from image_retrieval.errors import UserError
from image_retrieval.objects.access import Access
from image_retrieval.objects.s3_client import host_of, is_loopback

CONNECTIONS = 64  # kept open
RETRIES = 3  # of a request, before an answer begins
PART = 32 * 2**20  # bytes that one request reads
# whose lines hold URLs with their signatures, and headers; what urllib3 says at the level INFO holds none
TALKATIVE = {"azure": logging.ERROR, "msal": logging.ERROR, "urllib3.connectionpool": logging.INFO}


def az_client(access: Access) -> BlobServiceClient:
    """A client that keeps connections open. Raises UserError that names the wrong setting."""
    for name, level in TALKATIVE.items():
        logging.getLogger(name).setLevel(level)
    endpoint = access.store.endpoint_url
    assert endpoint is not None  # of the entry, or with its account
    session = Session()
    session.trust_env = not is_loopback(host_of(endpoint, access))  # else the proxies of the environment
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS))
    credential = _credential(access, endpoint)
    try:
        return BlobServiceClient(
            endpoint,
            credential,
            transport=RequestsTransport(session=session, use_env_settings=session.trust_env),
            connection_timeout=access.timeout,
            read_timeout=access.timeout,
            retry_policy=ExponentialRetry(0, increment_base=2, retry_total=RETRIES, random_jitter_range=1),
            max_single_get_size=PART,
            max_chunk_get_size=PART,
        )
    except ValueError as error:
        raise UserError(f"these settings do not make a client of Azure ({error}): check {access.settings}") from None


def _credential(access: Access, endpoint: str) -> Any:
    """The login of an entry: what it holds, else what Azure's own chain finds; None for none."""
    store = access.store
    if store.anonymous:
        return None
    if store.sas_token:
        return AzureSasCredential(store.sas_token.get_secret_value().removeprefix("?"))
    if store.account_key:
        return AzureNamedKeyCredential(store.account or _account(endpoint), store.account_key.get_secret_value())
    if not endpoint.startswith("https://"):
        raise UserError(
            f"no login for {access}, and Azure's own identities want https: set account_key or sas_token of "
            f"{access.settings}"
        )
    return DefaultAzureCredential(exclude_interactive_browser_credential=True)


def _account(endpoint: str) -> str:
    """The account that an endpoint names: the first part of its host, or of its path where the host is an address."""
    parts = urlsplit(endpoint)
    return parts.path.strip("/").partition("/")[0] or (parts.hostname or "").partition(".")[0]
