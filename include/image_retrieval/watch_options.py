"""The key `watch` of an entry of collections.yaml."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _queue_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("is no URL of a queue: give https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, without keys")
    return url


class WatchOptions(BaseModel):
    """When hints of changed objects start a run, and where hints come from besides the API."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll: bool = Field(False, description="look for recent objects every few seconds; for stores that send no events")
    queue: Annotated[str, AfterValidator(_queue_url)] | None = Field(
        None, description="URL of the SQS queue that gets the bucket's events"
    )
    images: int = Field(1000, ge=1, description="a run starts when so many objects are hinted")
    seconds: float = Field(10, ge=0, le=86_400, description="or when one has been hinted for so long")
