"""The schemes of URIs that name objects, and how the store of each is reached. This table is the only place."""

import re
from dataclasses import dataclass
from typing import Literal

Addressing = Literal["auto", "path", "virtual"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """A cloud whose store speaks the protocol of S3, and its dialect."""

    title: str
    endpoint: str | None = None  # by region; None: the one that boto3 knows
    region: str = "eu-central-1"  # an example
    addressing: Addressing = "virtual"  # `virtual`: the bucket is part of the host, and other requests are refused


BUCKETS: dict[str, Scheme] = {
    "s3": Scheme("Amazon S3, or any store that speaks S3", addressing="auto"),
    "tos": Scheme("Volcengine TOS", "https://tos-s3-{region}.volces.com", "cn-beijing"),
    "oss": Scheme("Alibaba Cloud OSS", "https://s3.oss-{region}.aliyuncs.com", "cn-hangzhou"),
    "cos": Scheme("Tencent Cloud COS", "https://cos.{region}.myqcloud.com", "ap-guangzhou"),
    "obs": Scheme("Huawei Cloud OBS", "https://obs.{region}.myhuaweicloud.com", "cn-north-4"),
    "bos": Scheme("Baidu AI Cloud BOS", "https://s3.{region}.bcebos.com", "bj"),
}
BUCKET = rf"(?:{'|'.join(BUCKETS)})://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]"  # the pattern of a bucket's URI
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
