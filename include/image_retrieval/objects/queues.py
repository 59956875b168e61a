"""Drains queues of SQS that get a bucket's events."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from image_retrieval.objects.access import access, entry_name
from image_retrieval.objects.base import StoreUnavailable
from image_retrieval.objects.s3_client import is_loopback, keep_keys_from_logs
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import is_bucket
from image_retrieval.settings import Settings

AT_ONCE = 10  # messages of one answer: SQS gives no more
MOST = 100  # answers of one call, so that the caller can look at other things


def drain(queue: str, source: str, settings: Settings, take: Callable[[list[str]], None]) -> int:
    """Hand the waiting messages' bodies to `take`, and delete them from the queue once it has returned.

    Messages that it did not take, because it raised or the process ended, come again. The keys are those of the store
    of `source` if it is AWS's, else boto3's own. Returns how many messages were deleted. Raises StoreUnavailable if the
    queue does not answer or refuses.
    """
    deleted = 0
    try:
        client = _client(queue, source, settings)
    except (BotoCoreError, ValueError) as error:
        raise _unavailable(queue, type(error).__name__) from None
    try:
        for _ in range(MOST):
            messages = client.receive_message(QueueUrl=queue, MaxNumberOfMessages=AT_ONCE).get("Messages", [])
            if not messages:
                break
            take([message["Body"] for message in messages])
            entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(messages)]
            kept = client.delete_message_batch(QueueUrl=queue, Entries=entries).get("Failed", [])
            deleted += len(messages) - len(kept)
    except ClientError as error:
        raise _unavailable(queue, error.response.get("Error", {}).get("Code", "")) from None
    except BotoCoreError as error:
        raise _unavailable(queue, type(error).__name__) from None
    finally:
        client.close()
    return deleted


def _unavailable(queue: str, code: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the queue {shown_url(queue)} cannot be read ({code}): check its URL, its region and the keys"
    )


def _client(queue: str, source: str, settings: Settings) -> Any:
    """A client of the queue's own host."""
    keep_keys_from_logs()
    parts = urlsplit(queue)
    host = parts.hostname or ""
    region = re.match(r"sqs\.([a-z0-9-]+)\.", host)
    found = access(entry_name(source, settings), settings) if is_bucket(source) else None
    own = found is not None and found.is_aws and (not found.store.endpoint_url or is_loopback(host))
    key, secret = (found.store.access_key_id, found.store.secret_access_key) if found and own else (None, None)
    return boto3.client(
        "sqs",
        endpoint_url=f"{parts.scheme}://{parts.netloc}",
        region_name=region[1] if region else "us-east-1",
        aws_access_key_id=key.get_secret_value() if key else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            connect_timeout=settings.s3_timeout_seconds,
            read_timeout=settings.s3_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": 4},
            proxies={} if is_loopback(host) else None,
        ),
    )
