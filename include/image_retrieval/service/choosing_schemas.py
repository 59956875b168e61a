"""The schemas of timelines, of chosen images as files, and of verdicts on several pairs."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from image_retrieval.service.schemas import Form
from image_retrieval.store.timeline import Unit
from image_retrieval.values import Filter, KnownId, Word


class TimelineForm(Form):
    """The images that are counted by their time of capture; by default all of a collection."""

    collection: Word
    filter: Filter = Field({})
    most: int = Field(60, ge=1, le=500, description="bars, at most")


class Bar(BaseModel):
    """How many images were taken from a time on, and before another one; both by the cameras' clocks."""

    since: datetime
    until: datetime
    images: int


class Timeline(BaseModel):
    """Bars of one unit from the first image to the last; none where no image tells its time."""

    unit: Unit | None
    bars: list[Bar]


class ExportForm(Form):
    """The images that are exported; ids that the collection does not have are left out."""

    collection: Word
    image_ids: list[KnownId] = Field(min_length=1, max_length=10_000)
    format: Literal["csv", "parquet"]
    vectors: bool = Field(False, description="with a column image_embedding")


class Pair(Form):
    """Two images of a collection."""

    a: KnownId
    b: KnownId


class VerdictsForm(Form):
    """One decision about several pairs of images of a collection."""

    pairs: list[Pair] = Field(min_length=1, max_length=500)
    verdict: Literal["duplicate", "different"] | None = Field(description="null removes the decisions")
