"""How libraries that read a store by themselves reach it, from the same settings."""

from urllib.parse import urlsplit

from image_retrieval.errors import UserError
from image_retrieval.objects.access import Access
from image_retrieval.objects.uris import split_s3

RETRIES = 3


def delta_options(access: Access, uri: str) -> dict[str, str]:
    """The storage options of deltalake for the store of a URI. Holds secrets. Raises UserError as `_keys` does."""
    key_id, secret_key = _keys(access)
    retries = {"max_retries": str(RETRIES), "retry_timeout": f"{access.timeout * RETRIES}s"}
    found = {"timeout": f"{access.timeout}s", **retries}
    if access.store.region or access.store.endpoint_url:
        found["aws_region"] = access.store.region or "us-east-1"
    if key_id:
        found |= {"aws_access_key_id": key_id, "aws_secret_access_key": secret_key}
    virtual = access.store.addressing == "virtual"
    found["aws_virtual_hosted_style_request"] = str(virtual).lower()
    if endpoint := access.store.endpoint_url:
        parts = urlsplit(endpoint)
        bucket = f"{split_s3(uri)[0]}." if virtual else ""
        found["aws_endpoint_url"] = f"{parts.scheme}://{bucket}{parts.netloc}{parts.path}".rstrip("/")
        found["aws_allow_http"] = str(parts.scheme == "http").lower()
    return found


def iceberg_properties(access: Access) -> dict[str, str]:
    """The properties of pyiceberg for a store. Holds secrets. Raises UserError as `_keys` does."""
    key_id, secret_key = _keys(access)
    seconds = str(access.timeout)
    found = {"s3.connect-timeout": seconds, "s3.request-timeout": seconds}
    if key_id:
        found |= {"s3.access-key-id": key_id, "s3.secret-access-key": secret_key}
    if access.store.region or access.store.endpoint_url:
        found["s3.region"] = access.store.region or "us-east-1"
    if endpoint := access.store.endpoint_url:
        found["s3.endpoint"] = endpoint
    if access.store.addressing == "virtual":
        found["s3.force-virtual-addressing"] = "true"
    return found


def _keys(access: Access) -> tuple[str, str]:
    """Both keys. Raises UserError if they are missing, or if the store speaks another protocol than S3's."""
    from image_retrieval.objects.s3_client import keys_of

    if access.dialect.protocol != "s3":
        raise UserError(
            f"tables of Delta and Iceberg in {access.dialect.title} cannot be read: give `format: parquet`, or a table "
            "in a store that speaks S3"
        )
    return keys_of(access)
