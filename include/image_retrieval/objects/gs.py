"""Objects of Google Cloud Storage: `gs://bucket/key`.

Google's XML API speaks S3's protocol but for the login, conditional writes and lists of objects to delete. So listing,
reading and writing are those of S3, and requests hold a token, unless the entry has the keys of S3's protocol.
"""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from image_retrieval.objects.access import Access
from image_retrieval.objects.base import ObjectFault, ObjectMissing
from image_retrieval.objects.gs_tokens import Tokens
from image_retrieval.objects.s3 import S3Objects
from image_retrieval.objects.s3_client import has_tokens
from image_retrieval.objects.s3_errors import explained
from image_retrieval.objects.uris import split_s3

DELETED_AT_ONCE = 16
METADATA = "x-goog-meta-"


class GsObjects(S3Objects):
    """Reads, writes and lists objects of Google Cloud Storage."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        events = self._client.meta.events
        events.register("before-parameter-build.s3.ListObjects", _without_encoding)
        events.register_first("before-parse.*.HeadObject", as_user_metadata)
        if not has_tokens(access):
            return
        events.register("before-call.s3.PutObject", _with_googles_condition)
        if not access.store.anonymous:
            tokens = Tokens(access)

            def with_token(request: Any, **_: Any) -> None:
                request.headers["Authorization"] = f"Bearer {tokens.now()}"

            events.register("before-sign.s3", with_token)

    def _deleted(self, bucket: str, keys: list[str]) -> dict[str, str]:
        name = split_s3(bucket)[0]

        def delete(key: str) -> str | None:
            try:
                with explained(f"{bucket}{key}", self._place):
                    self._client.delete_object(Bucket=name, Key=key)
            except ObjectMissing:
                return None
            except ObjectFault as error:
                return type(error).__name__
            return None

        with ThreadPoolExecutor(min(DELETED_AT_ONCE, len(keys)), thread_name_prefix="deleting") as pool:
            answers = pool.map(lambda key, context: context.run(delete, key), keys, [copy_context() for _ in keys])
            return {f"{bucket}{key}": told for key, told in zip(keys, answers, strict=True) if told}


def _without_encoding(params: dict[str, Any], **_: Any) -> None:
    """Ask for names as they are: in version 1 of listings, Google does not tell that it encodes them."""
    params.pop("EncodingType", None)


def as_user_metadata(response_dict: dict[str, Any], **_: Any) -> None:
    """Give the headers of user metadata the names that S3's have."""
    headers = response_dict["headers"]
    for name in [name for name in headers if name.lower().startswith(METADATA)]:
        headers["x-amz-meta-" + name[len(METADATA) :]] = headers[name]


def _with_googles_condition(params: dict[str, Any], **_: Any) -> None:
    """Ask for a write of a new object alone as Google has it: of no generation before."""
    if params["headers"].pop("If-None-Match", None) == "*":
        params["headers"]["x-goog-if-generation-match"] = "0"
