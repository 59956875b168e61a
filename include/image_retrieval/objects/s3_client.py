"""Creates a client of an S3 store from the settings and AWS's own environment."""

import ipaddress
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as s3
from botocore.config import Config

from image_retrieval.errors import UserError
from image_retrieval.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ENDPOINT = "IMAGE_RETRIEVAL_S3_ENDPOINT_URL"
# whose debug lines hold signed headers, session tokens, and answers of AWS that give keys
TALKATIVE = ("botocore.auth", "botocore.endpoint", "botocore.parsers")


def place_of(settings: Settings) -> str:
    """The store in words."""
    return settings.s3_endpoint_url or "AWS"


def keep_keys_from_logs() -> None:
    """Let boto3 log no key and no signature, whatever level the process logs at."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)


def s3_client(settings: Settings) -> "S3Client":
    """A client that keeps connections open. Raises UserError that names the wrong setting."""
    keep_keys_from_logs()
    endpoint = settings.s3_endpoint_url or None
    host = _host(endpoint) if endpoint else ""
    _require_bundle(endpoint)
    key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    key_id, secret_key = (given.get_secret_value() if given else "" for given in (key, secret))
    if bool(key_id) != bool(secret_key):
        raise UserError("set both IMAGE_RETRIEVAL_S3_ACCESS_KEY_ID and IMAGE_RETRIEVAL_S3_SECRET_ACCESS_KEY, or none")
    try:
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=settings.s3_region or ("us-east-1" if endpoint else None),
            aws_access_key_id=key_id or None,
            aws_secret_access_key=secret_key or None,
            config=Config(
                max_pool_connections=64,
                connect_timeout=settings.s3_timeout_seconds,
                read_timeout=settings.s3_timeout_seconds,
                retries={"mode": "standard", "total_max_attempts": 4},
                # an empty mapping means no proxy, None the proxies of the environment
                proxies={} if is_loopback(host) else None,
                # other S3 stores do not support the checksums that newer clients send and request by default
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except (s3.BotoCoreError, ValueError) as error:
        raise _told(error, settings) from None
    return client


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL names it, is this machine itself."""
    if host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_loopback


def _host(endpoint: str) -> str:
    """The host of an endpoint. A wrong endpoint is not repeated in the error, since it may contain keys."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or any(letter.isspace() for letter in endpoint):
        raise UserError(f"{ENDPOINT} is not an http:// or https:// URL of a store: write it like http://host:8333")
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(f"{ENDPOINT} must not contain a user, password or query: keys have their own settings")
    return host


def _require_bundle(endpoint: str | None) -> None:
    """Raise UserError if TLS is used and AWS_CA_BUNDLE is missing, which the client would report as an outage."""
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle and not (endpoint or "").startswith("http://") and not Path(bundle).exists():
        raise UserError(f"AWS_CA_BUNDLE names {bundle}, which does not exist: correct it, or unset it")


def _told(error: Exception, settings: Settings) -> UserError:
    match error:
        case s3.ProfileNotFound():
            profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
            return UserError(f"AWS_PROFILE names the profile {profile!r}, which AWS's configuration does not have")
        case s3.InvalidRegionError() | s3.NoRegionError():
            region = settings.s3_region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            message = f"{region!r} is not a region" if region else "no region is set"
            return UserError(f"{message}: set IMAGE_RETRIEVAL_S3_REGION, such as eu-central-1, or AWS_DEFAULT_REGION")
        case s3.ConfigParseError() | s3.ConfigNotFound():
            return UserError("AWS's configuration cannot be read: check AWS_CONFIG_FILE and ~/.aws/config")
    return UserError(
        f"these settings do not make an S3 client ({type(error).__name__}): check IMAGE_RETRIEVAL_S3_… and AWS_…"
    )
