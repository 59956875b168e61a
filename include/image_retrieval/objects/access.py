"""What the settings say about the store of a URI: of its bucket, else of its scheme."""

from dataclasses import dataclass
from typing import Any

from image_retrieval.errors import UserError
from image_retrieval.objects.uris import split_s3
from image_retrieval.schemes import BUCKETS, Scheme, scheme_of
from image_retrieval.settings import PREFIX, Settings
from image_retrieval.stores import LOGIN, Store

STORES = f"{PREFIX}STORES"
FIELDS = ("endpoint_url", "region", "access_key_id", "secret_access_key")  # those with a variable of their own for s3


@dataclass(frozen=True, slots=True)
class Access:
    """How a store is reached. As a text, it is the store in words."""

    name: str  # of the entry: a scheme, or a bucket's URI
    dialect: Scheme
    store: Store
    timeout: float  # seconds
    listed: bool  # in IMAGE_RETRIEVAL_STORES

    def __str__(self) -> str:
        return self.store.endpoint_url or ("AWS" if self.is_aws else self.dialect.title)

    @property
    def is_aws(self) -> bool:
        """Whether AWS's own environment says what the settings leave out."""
        return self.dialect.endpoint is None

    @property
    def settings(self) -> str:
        """The settings of the endpoint and the keys, for a message."""
        if self.is_aws and not self.listed:
            return f"{PREFIX}S3_ENDPOINT_URL, …_S3_ACCESS_KEY_ID and …_S3_SECRET_ACCESS_KEY"
        return f"the entry {self.name!r} of {STORES}"

    def setting(self, field: str) -> str:
        """The setting of one field, for a message."""
        if self.is_aws and not self.listed:
            return (
                f"{PREFIX}S3_{field.upper()}" if field in FIELDS else f"{field} of an entry {self.name!r} of {STORES}"
            )
        return f"{field} of {self.settings}"


def entry_name(uri: str, settings: Settings) -> str:
    """The name of the entry for a URI: its bucket, if that has an entry of its own, else its scheme."""
    scheme = scheme_of(uri)
    bucket = f"{scheme}://{split_s3(uri)[0]}"
    return bucket if bucket in settings.stores else scheme


def access(name: str, settings: Settings) -> Access:
    """How the store of an entry is reached: what a bucket's entry leaves out is that of its scheme.

    Raises UserError if neither an endpoint nor what names it, such as a region, is set for a scheme that needs one.
    """
    scheme = name.partition("://")[0]
    dialect = BUCKETS[scheme]
    found: dict[str, Any] = {"addressing": dialect.addressing}
    if dialect.endpoint is None:
        found |= {field: getattr(settings, f"s3_{field}") or None for field in FIELDS}
    for entry in (scheme, name):
        given = settings.stores.get(entry, Store()).given()
        if not LOGIN.isdisjoint(given):
            found = {field: value for field, value in found.items() if field not in LOGIN}
        found |= given
    if dialect.endpoint and not found.get("endpoint_url"):
        named = dialect.named
        if named and not found.get(named):
            raise UserError(
                f"no {named} of {dialect.title} is set: set {named} of the entry {name!r} of {STORES}, such as "
                f"{dialect.example}, or its endpoint_url"
            )
        found["endpoint_url"] = dialect.endpoint.format(**found)
    # not checked again: of the S3_… variables, one key may be without the other
    return Access(name, dialect, Store.model_construct(**found), settings.s3_timeout_seconds, name in settings.stores)
