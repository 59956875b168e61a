"""How a store of objects is reached, as an entry of IMAGE_RETRIEVAL_STORES says."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, model_validator

from image_retrieval.schemes import BUCKET, BUCKETS, Addressing


def _in_one_line(given: SecretStr) -> SecretStr:
    if not given.get_secret_value().isprintable():
        raise ValueError("contains a line break or another invisible character")
    return given


Key = Annotated[SecretStr, AfterValidator(_in_one_line)]


class Store(BaseModel):
    """The values for a scheme, or for one bucket of it. What is None comes from elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: Key | None = None
    secret_access_key: Key | None = None
    addressing: Addressing | None = None

    @model_validator(mode="after")
    def _both_keys_or_none(self) -> "Store":
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("give both access_key_id and secret_access_key, or none")
        return self

    def given(self) -> dict[str, str | SecretStr]:
        """The values that this entry has. Holds secrets."""
        return self.model_dump(exclude_none=True)


def with_known_names(stores: dict[str, Store]) -> dict[str, Store]:
    """The entries, each named by a scheme or a bucket. Raises ValueError, which repeats no name."""
    if any(name not in BUCKETS and not re.fullmatch(BUCKET, name) for name in stores):
        raise ValueError(f"each entry is named {', '.join(BUCKETS)} or like a bucket, such as oss://photos")
    return stores
