"""The schemes of URIs that name objects, and how the store of each is reached. This table is the only place."""

import re
from dataclasses import dataclass
from typing import Literal

Addressing = Literal["auto", "path", "virtual"]
Protocol = Literal["s3", "gs", "az"]

# the keys of entries of IMAGE_RETRIEVAL_STORES, by the protocol of their scheme
FIELDS: dict[Protocol, frozenset[str]] = {
    "s3": frozenset({"endpoint_url", "region", "access_key_id", "secret_access_key", "addressing"}),
    "gs": frozenset({"endpoint_url", "region", "service_account", "access_key_id", "secret_access_key", "anonymous"}),
    "az": frozenset({"endpoint_url", "account", "account_key", "sas_token", "anonymous"}),
}


@dataclass(frozen=True, slots=True)
class Scheme:
    """A cloud, the protocol of its store, and its dialect of that protocol."""

    title: str
    endpoint: str | None = None  # with what an entry has to name; None: the one that boto3 knows
    example: str = "eu-central-1"  # of what it has to name
    addressing: Addressing = "virtual"  # `virtual`: the bucket is part of the host, and other requests are refused
    protocol: Protocol = "s3"

    @property
    def named(self) -> str | None:
        """The key of an entry that names the endpoint: `region`, `account`, or none."""
        found = re.search(r"{(\w+)}", self.endpoint or "")
        return found[1] if found else None


BUCKETS: dict[str, Scheme] = {
    "s3": Scheme("Amazon S3, or any store that speaks S3", addressing="auto"),
    "tos": Scheme("Volcengine TOS", "https://tos-s3-{region}.volces.com", "cn-beijing"),
    "oss": Scheme("Alibaba Cloud OSS", "https://s3.oss-{region}.aliyuncs.com", "cn-hangzhou"),
    "cos": Scheme("Tencent Cloud COS", "https://cos.{region}.myqcloud.com", "ap-guangzhou"),
    "obs": Scheme("Huawei Cloud OBS", "https://obs.{region}.myhuaweicloud.com", "cn-north-4"),
    "bos": Scheme("Baidu AI Cloud BOS", "https://s3.{region}.bcebos.com", "bj"),
    "gs": Scheme("Google Cloud Storage", "https://storage.googleapis.com", addressing="path", protocol="gs"),
    "az": Scheme(
        "Azure Blob Storage", "https://{account}.blob.core.windows.net", "myaccount", addressing="path", protocol="az"
    ),
}
# the pattern of a bucket's URI; Google's alone may have `_`, and may be as long as a host
BUCKET = (
    rf"(?:(?:{'|'.join(name for name in BUCKETS if name != 'gs')})://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]"
    r"|gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])"
)
SUPPORTED = ", ".join(f"{name}://" for name in (*BUCKETS, "file"))


def scheme_of(uri: str) -> str:
    """The scheme of a URI as it is written; `file` for a plain path."""
    scheme, found, _ = uri.partition("://")
    return scheme if found else "file"


def is_bucket(uri: str) -> bool:
    """Whether a URI is that of a bucket, or of something in it."""
    return re.match(rf"{BUCKET}(?:/|$)", uri) is not None


def is_object(uri: str) -> bool:
    """Whether a URI is that of an object in a bucket."""
    return re.fullmatch(rf"{BUCKET}/.+", uri) is not None
