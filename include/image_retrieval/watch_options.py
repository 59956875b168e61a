"""The key `watch` of an entry of collections.yaml."""

from pydantic import BaseModel, ConfigDict, Field


class WatchOptions(BaseModel):
    """When hints of changed objects start a run, and where hints come from besides the API."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll: bool = Field(False, description="look for recent objects every few seconds; for stores that send no events")
    queue: str | None = Field(None, description="URL of the SQS queue that gets the bucket's events")
    images: int = Field(1000, ge=1, description="a run starts when so many objects are hinted")
    seconds: float = Field(10, ge=0, le=86_400, description="or when one has been hinted for so long")
