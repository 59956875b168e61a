"""Creates a client of a store that speaks S3, from the settings and AWS's own environment."""

import base64
import hashlib
import ipaddress
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore import exceptions as s3
from botocore.config import Config

from image_retrieval.errors import UserError
from image_retrieval.objects.access import Access

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# whose debug lines hold signed headers, session tokens, and answers of AWS that give keys
TALKATIVE = ("botocore.auth", "botocore.endpoint", "botocore.parsers")

UNUSED = "unused"  # in place of keys, for which boto3 would ask AWS


def keep_keys_from_logs() -> None:
    """Let boto3 log no key and no signature, whatever level the process logs at."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)


def s3_client(access: Access) -> "S3Client":
    """A client that keeps connections open. Raises UserError that names the wrong setting."""
    keep_keys_from_logs()
    store = access.store
    endpoint = store.endpoint_url
    host = host_of(endpoint, access) if endpoint else ""
    _require_bundle(endpoint)
    key_id, secret_key = keys_of(access)
    try:
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=store.region or ("us-east-1" if endpoint else None),
            aws_access_key_id=key_id or None,
            aws_secret_access_key=secret_key or None,
            config=Config(
                signature_version=UNSIGNED if has_tokens(access) else None,
                max_pool_connections=64,
                connect_timeout=access.timeout,
                read_timeout=access.timeout,
                # unless it is said here, AWS's own configuration may say it
                s3=None if store.addressing == "auto" else {"addressing_style": store.addressing},
                retries={"mode": "standard", "total_max_attempts": 4},
                # an empty mapping means no proxy, None the proxies of the environment
                proxies={} if is_loopback(host) else None,
                # other S3 stores do not support the checksums that newer clients send and request by default
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except (s3.BotoCoreError, ValueError) as error:
        raise _told(error, access) from None
    client.meta.events.register("before-call.s3.DeleteObjects", _with_content_md5)
    return client


def keys_of(access: Access) -> tuple[str, str]:
    """Both keys; empty where AWS's own environment says them. Raises UserError."""
    given = access.store.access_key_id, access.store.secret_access_key
    key_id, secret_key = (key.get_secret_value() if key else "" for key in given)
    names = access.setting("access_key_id"), access.setting("secret_access_key")
    if bool(key_id) != bool(secret_key):
        raise UserError(f"set both {names[0]} and {names[1]}, or none")
    if not key_id and has_tokens(access):
        return UNUSED, UNUSED
    if not key_id and not access.is_aws:  # boto3 would sign with the keys for AWS, and send their session token along
        raise UserError(f"no keys for {access}: set access_key_id and secret_access_key of {access.settings}")
    return key_id, secret_key


def has_tokens(access: Access) -> bool:
    """Whether requests are not signed with keys, but hold a token of Google, or are anonymous."""
    return access.dialect.protocol == "gs" and not access.store.access_key_id


def _with_content_md5(params: dict[str, Any], **_: Any) -> None:
    """Send the digest that every store knows with a list of objects to delete, in place of a newer checksum."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
    params["context"].pop("checksum", None)


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


def host_of(endpoint: str, access: Access) -> str:
    """The host of an endpoint. A wrong endpoint is not repeated in the error, since it may contain keys."""
    name = access.setting("endpoint_url")
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or any(letter.isspace() for letter in endpoint):
        raise UserError(f"{name} is not an http:// or https:// URL of a store: write it like http://host:8333")
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(f"{name} must not contain a user, password or query: keys have their own settings")
    return host


def _require_bundle(endpoint: str | None) -> None:
    """Raise UserError if TLS is used and AWS_CA_BUNDLE is missing, which the client would report as an outage."""
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle and not (endpoint or "").startswith("http://") and not Path(bundle).exists():
        raise UserError(f"AWS_CA_BUNDLE names {bundle}, which does not exist: correct it, or unset it")


def _told(error: Exception, access: Access) -> UserError:
    match error:
        case s3.ProfileNotFound():
            profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
            return UserError(f"AWS_PROFILE names the profile {profile!r}, which AWS's configuration does not have")
        case s3.InvalidRegionError() | s3.NoRegionError():
            region = access.store.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            message = f"{region!r} is not a region" if region else "no region is set"
            chain = ", or AWS_DEFAULT_REGION" if access.is_aws else ""
            return UserError(f"{message}: set {access.setting('region')}, such as {access.dialect.example}{chain}")
        case s3.ConfigParseError() | s3.ConfigNotFound():
            return UserError("AWS's configuration cannot be read: check AWS_CONFIG_FILE and ~/.aws/config")
    return UserError(
        f"these settings do not make an S3 client ({type(error).__name__}): check {access.settings}, and AWS_…"
    )
