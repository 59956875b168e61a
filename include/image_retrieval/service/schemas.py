"""What the API takes and gives, checked before anything is done with it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from image_retrieval.collection import Name, ResampleChoice
from image_retrieval.values import Filter, KnownId, NewImageId, QueryText, Score, Weight, Word, plain_text, small_json

Limit = Annotated[int, Field(ge=1, le=500)]
Attributes = Annotated[dict[str, Any], Field(max_length=200), AfterValidator(small_json)]
Unreadable = Annotated[
    dict[str, str], Field(description="fields that hold what no answer can show, and why: attributes are null then")
]
Url = Annotated[str, Field(max_length=2000), AfterValidator(plain_text)]


class Form(BaseModel):
    """A part of a request: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Picture(Form):
    """A picture: its bytes in base64 (or as a data: URL), an http(s) URL, or an image of the collection."""

    base64: str | None = Field(None, min_length=1)
    url: Url | None = None
    image_id: KnownId | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Picture":
        if sum(given is not None for given in (self.base64, self.url, self.image_id)) != 1:
            raise ValueError("give one of base64, url and image_id")
        return self


class WeighedPicture(Picture):
    """A picture, and how much it counts; a negative weight: less like it."""

    weight: Weight = 1.0


class WeighedText(Form):
    """A text, and how much it counts; a negative weight: less of it."""

    text: QueryText
    weight: Weight = 1.0


class Paged(Form):
    """Which results are wanted."""

    k: Limit = Field(10, description="how many results")
    offset: int = Field(0, ge=0, le=500, description="results to leave out at the beginning: for the next page")
    filter: Filter = {}
    grouped: bool = Field(False, description="only the best image of each group")
    min_score: Score | None = Field(
        None, description="nothing under this score; left out: 0.5 where scores are calibrated, else all"
    )


class SearchForm(Paged):
    """Pictures and texts that results should be like, or, with a negative weight, unlike."""

    collection: Word
    images: list[WeighedPicture] = Field([], max_length=16)
    texts: list[WeighedText] = Field([], max_length=16)

    @model_validator(mode="after")
    def _has_something(self) -> "SearchForm":
        if not (any(term.weight > 0 for term in self.images) or any(term.weight > 0 for term in self.texts)):
            raise ValueError("give at least one of images and texts with a weight above 0")
        return self


class SimilarForm(Paged):
    """An image of the collection that results should be like; itself left out."""

    collection: Word
    image_id: KnownId


class MatchForm(Form):
    """Two pictures to compare, by the model of a collection."""

    collection: Word
    a: Picture
    b: Picture


class Result(BaseModel):
    """One found image."""

    image_id: str
    score: float = Field(description="0 to 1 where calibrated, else the similarity")
    similarity: float = Field(description="1 - cosine distance")
    image_path: str
    resampled_image_path: str | None
    group_id: str | None
    intra_id: str | None
    caption: str | None
    width: int | None
    height: int | None
    attributes: dict[str, Any] | None
    unreadable: Unreadable = {}


class Results(BaseModel):
    """What was found, best first. No result is an answer: nothing reaches `min_score`."""

    collection: str
    results: list[Result]
    more: bool = Field(description="whether a next page has results")
    calibration: str | None = Field(description="direction that scores are calibrated for; null: plain similarities")
    min_score: float | None = Field(description="what was not shown is under this score")


class Match(BaseModel):
    """How alike two pictures are."""

    similarity: float = Field(description="1 - cosine distance")
    score: float = Field(description="0 to 1 where calibrated, else the similarity")
    calibrated: bool


class CollectionForm(Form):
    """A collection to be made. Its pictures come through the API and lie under `SERVICE_SOURCE_URI`."""

    name: Name
    model: Name | None = Field(None, description="one that another collection has; left out: that of the first one")
    resample: ResampleChoice = ResampleChoice()
    id_pattern: Word | None = None


class CollectionInfo(BaseModel):
    """A collection, its model, and what it may be asked."""

    name: str
    source: str
    model: str
    dimensions: int
    reads_texts: bool
    calibrated: bool = Field(description="whether its scores are, in one direction at least")
    made: bool = Field(description="made through the API")
    listed: bool = Field(description="an entry of collections.yaml; one that is neither is searched, and not changed")


class Facts(Form):
    """What is said of an image; what is left out stays as it is."""

    group_id: Word | None = None
    intra_id: Word | None = None
    caption: Annotated[str, Field(max_length=5000), AfterValidator(plain_text)] | None = None
    attributes: Attributes = {}


class ReplaceForm(Facts):
    """A picture, as base64 or as an http(s) URL, and what is said of it."""

    base64: str | None = Field(None, min_length=1)
    url: Url | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "ReplaceForm":
        if (self.base64 is None) == (self.url is None):
            raise ValueError("give one of base64 and url")
        return self


class RegisterForm(ReplaceForm):
    """A picture for a collection; without `image_id` it gets `<group_id>/<intra_id>`, or a name of its own."""

    image_id: NewImageId | None = None


class ImageInfo(BaseModel):
    """An image of a collection."""

    image_id: str
    image_path: str
    resampled_image_path: str | None
    group_id: str | None
    intra_id: str | None
    caption: str | None
    width: int | None
    height: int | None
    format: str | None
    attributes: dict[str, Any] | None
    unreadable: Unreadable = {}
    created_at: datetime
    updated_at: datetime
    captured_at: datetime | None
    sha256: str | None


class Images(BaseModel):
    """Images in order of their id; `after`: what the next page is asked with, null where there is none."""

    images: list[ImageInfo]
    after: str | None


class RequeueForm(Form):
    """Which rejected images the next run tries again; all of them where nothing is given."""

    reason: Word | None = None
    uri: KnownId | None = None


class VerdictForm(Form):
    """What somebody says of two images of a collection."""

    a: KnownId
    b: KnownId
    verdict: Literal["duplicate", "different"] | None = Field(description="null: take back what was said")


Tier = Literal["bytes", "picture", "scene"]
