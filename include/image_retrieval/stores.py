"""How a store of objects is reached, as an entry of IMAGE_RETRIEVAL_STORES says."""

import base64
import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from image_retrieval.schemes import BUCKET, BUCKETS, FIELDS, Addressing

# an entry that has one of these replaces all of them that its scheme's entry has
LOGIN = frozenset({"access_key_id", "secret_access_key", "service_account", "account_key", "sas_token", "anonymous"})


def _in_one_line(given: SecretStr) -> SecretStr:
    if not given.get_secret_value().isprintable():
        raise ValueError("contains a line break or another invisible character")
    return given


def _as_base64(given: SecretStr) -> SecretStr:
    try:
        base64.b64decode(given.get_secret_value(), validate=True)
    except ValueError:
        raise ValueError("is not Base64, as Azure writes the keys of an account") from None
    return given


def _key_file(given: Any) -> Any:
    """The content of a service account's key file in one line, given as an object or as text; or its path."""
    if isinstance(given, SecretStr):
        return given
    if isinstance(given, str) and given.startswith("/"):
        return given
    try:
        found = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found:
        raise ValueError("is neither the content of a service account's key file nor its absolute path")
    return json.dumps(found)


Key = Annotated[SecretStr, AfterValidator(_in_one_line)]


class Store(BaseModel):
    """The values for a scheme, or for one bucket of it. What is None comes from elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: Key | None = None
    secret_access_key: Key | None = None
    addressing: Addressing | None = None
    service_account: Annotated[Key, BeforeValidator(_key_file)] | None = None  # of Google: JSON, or a file's path
    account: Annotated[str, Field(pattern="^[a-z0-9]{3,24}$")] | None = None  # of Azure
    account_key: Annotated[Key, AfterValidator(_as_base64)] | None = None
    sas_token: Key | None = None
    anonymous: bool | None = None  # requests without any login

    @model_validator(mode="after")
    def _one_login(self) -> "Store":
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("give both access_key_id and secret_access_key, or none")
        logins = (self.access_key_id, self.service_account, self.account_key, self.sas_token, self.anonymous)
        if sum(map(bool, logins)) > 1:
            raise ValueError("give one login alone: keys, service_account, account_key, sas_token or anonymous")
        return self

    def given(self) -> dict[str, str | bool | SecretStr]:
        """The values that this entry has. Holds secrets."""
        return self.model_dump(exclude_none=True)


def with_known_names(stores: dict[str, Store]) -> dict[str, Store]:
    """The entries: of a scheme or a bucket, with keys that the scheme has. Raises ValueError, which repeats no name."""
    if any(name not in BUCKETS and not re.fullmatch(BUCKET, name) for name in stores):
        raise ValueError(f"each entry is named {', '.join(BUCKETS)} or like a bucket, such as oss://photos")
    for name, store in stores.items():
        scheme = name.partition("://")[0]
        known = FIELDS[BUCKETS[scheme].protocol]
        if strange := sorted(store.given().keys() - known):
            raise ValueError(f"an entry of {scheme} has no key {strange[0]}: known are {', '.join(sorted(known))}")
    return stores
