"""The schemas of requests and responses."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from image_retrieval.option_types import Name
from image_retrieval.picture_options import ResampleChoice
from image_retrieval.pipeline.shown import TextMode
from image_retrieval.values import (
    Caption,
    Filter,
    GroupWord,
    KnownId,
    NewImageId,
    QueryText,
    Region,
    Score,
    Weight,
    Word,
    plain_text,
    small_json,
)

Limit = Annotated[int, Field(ge=1, le=500)]
Attributes = Annotated[dict[str, Any], Field(max_length=200), AfterValidator(small_json)]
Unreadable = Annotated[
    dict[str, str], Field(description="fields whose value cannot be shown, and why; attributes are then null")
]
Url = Annotated[str, Field(max_length=2000), AfterValidator(plain_text)]


class Form(BaseModel):
    """A part of a request. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Picture(Form):
    """A picture: its bytes in base64 (or as a data: URL), an http(s) URL, or an image of the collection."""

    base64: str | None = Field(None, min_length=1)
    url: Url | None = None
    image_id: KnownId | None = None
    region: Region | None = Field(
        None, description="left, top, width, height of the part that counts, as shares of the upright picture"
    )

    @model_validator(mode="after")
    def _is_one(self) -> "Picture":
        if sum(given is not None for given in (self.base64, self.url, self.image_id)) != 1:
            raise ValueError("give one of base64, url and image_id")
        return self


class WeighedPicture(Picture):
    """A picture and its weight; a negative weight means less like it."""

    weight: Weight = 1.0


class WeighedText(Form):
    """A text and its weight; a negative weight means less of it."""

    text: QueryText
    weight: Weight = 1.0


class Paged(Form):
    """The page of results that is wanted."""

    k: Limit = Field(10, description="how many results")
    offset: int = Field(0, ge=0, le=500, description="results to skip, for the next page")
    filter: Filter = {}
    grouped: bool = Field(False, description="only the best image of each group")
    model: Word | None = Field(
        None, description="a model under which the collection has vectors; default: the one that its view shows"
    )
    min_score: Score | None = Field(
        None, description="least score of a result; default: 0.5 if scores are calibrated, else none"
    )
    captions: bool = Field(False, description="also what a model wrote of each result, by language")


class SearchForm(Paged):
    """Pictures and texts that results should be like or, with a negative weight, unlike; or words of captions."""

    collection: Word
    mode: TextMode = Field(
        "vector",
        description="vector: by what pictures show; words: by the words of captions, from one text; caption: by what "
        "captions mean, from texts; hybrid: by all of these together",
    )
    images: list[WeighedPicture] = Field([], max_length=16)
    texts: list[WeighedText] = Field([], max_length=16)
    at_place: bool = Field(
        False, description="rank the 50 nearest images by the same region of each, from one image with a region"
    )

    @model_validator(mode="after")
    def _has_something(self) -> "SearchForm":
        if not (any(term.weight > 0 for term in self.images) or any(term.weight > 0 for term in self.texts)):
            raise ValueError("give at least one image or text with a weight above 0")
        if self.mode == "words" and (self.images or len(self.texts) != 1):
            raise ValueError("a search by words takes one text, and no image")
        if self.mode == "caption" and self.images:
            raise ValueError("a search by what captions mean takes texts, and no image")
        if self.mode == "hybrid" and not any(term.weight > 0 for term in self.texts):
            raise ValueError("a hybrid search takes at least one text with a weight above 0")
        if self.at_place and not (len(self.images) == 1 and self.images[0].region and not self.texts):
            raise ValueError("at_place takes one image with a region, and no text")
        return self


class SimilarForm(Paged):
    """An image of the collection that results should be like; the results do not include it."""

    collection: Word
    image_id: KnownId


class MatchForm(Form):
    """Two pictures to compare under the model of a collection."""

    collection: Word
    a: Picture
    b: Picture


class FacetsForm(Form):
    """The images whose values are counted; by default all of a collection."""

    collection: Word
    filter: Filter = {}
    most: int = Field(20, ge=1, le=500, description="values of each facet, the most frequent ones")


class Facets(BaseModel):
    """How many images have each value, per facet (colour, format, group_id, orientation, year); most frequent first."""

    facets: dict[str, dict[str, int]]


class Result(BaseModel):
    """One image of the results."""

    image_id: str
    score: float = Field(description="0 to 1 if calibrated, else the similarity")
    similarity: float = Field(
        description="1 - cosine distance; by words: their weighted share in the caption; hybrid: the fused score"
    )
    image_path: str
    resampled_image_path: str | None
    group_id: str | None
    intra_id: str | None
    caption: str | None
    width: int | None
    height: int | None
    attributes: dict[str, Any] | None
    unreadable: Unreadable = {}
    captions: dict[str, str] | None = Field(None, description="what a model wrote, by language, if it was asked for")
    found_by: list[str] | None = Field(None, description="in a hybrid search, what found it: vector, words, caption")
    scores: dict[str, float] | None = Field(None, description="in a hybrid search, the score that each side gives it")


class Results(BaseModel):
    """The results, best first. An empty list means that no image reaches `min_score`."""

    collection: str
    results: list[Result]
    more: bool = Field(description="whether a next page has results")
    calibration: str | None = Field(description="direction of the scores' calibration; null: plain similarities")
    min_score: float | None = Field(description="least score of a result; images under it are left out")


class Match(BaseModel):
    """How alike two pictures are."""

    similarity: float = Field(description="1 - cosine distance")
    score: float = Field(description="0 to 1 if calibrated, else the similarity")
    calibrated: bool


class CollectionForm(Form):
    """A collection to create. Its pictures come through the API and are stored under `SERVICE_SOURCE_URI`."""

    name: Name
    model: Name | None = Field(None, description="a model of another collection; default: the first one's")
    resample: ResampleChoice = ResampleChoice()
    id_pattern: Word | None = None


class ScoreInfo(BaseModel):
    """Where the calibration of one direction of searches comes from."""

    direction: str = Field(description="image_image, text_image_en or text_image_zh")
    origin: Literal["own", "fitted"] = Field(description="the model's own, or fitted on the collection's vectors")
    fitted_at: datetime | None
    vectors: int | None = Field(description="vectors that the collection had when it was fitted")
    sampled: int | None = Field(description="vectors of them that were compared")
    probes: int | None = Field(description="altered copies of pictures, or phrases, that were compared with them")


class CollectionInfo(BaseModel):
    """A collection, its model, and the searches that it supports."""

    name: str
    source: str
    model: str
    models: list[str] = Field(description="the models under which it has vectors, the shown one first")
    dimensions: int
    reads_texts: bool
    modes: list[TextMode] = Field(
        description="how its texts can be searched; words and hybrid if one of its first 1,000 images has a caption"
    )
    calibrated: bool = Field(description="whether its scores are calibrated, in at least one direction")
    scores: list[ScoreInfo] = Field(description="the directions whose scores are calibrated")
    caption_scores: list[ScoreInfo] = Field(description="the same of the mode caption: of texts to captions")
    made: bool = Field(description="made through the API")
    listed: bool = Field(description="an entry of collections.yaml; if it is neither, it cannot be changed")


class Facts(Form):
    """The metadata of an image; fields that are left out stay as they are."""

    group_id: GroupWord = None
    intra_id: GroupWord = None
    caption: Caption = Field(None, description="what people say it shows; null or blank: what a model wrote is shown")
    attributes: Attributes = {}


class ReplaceForm(Facts):
    """A picture, as base64 or as an http(s) URL, and its metadata."""

    base64: str | None = Field(None, min_length=1)
    url: Url | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "ReplaceForm":
        if (self.base64 is None) == (self.url is None):
            raise ValueError("give one of base64 and url")
        return self


class RegisterForm(ReplaceForm):
    """A new picture for a collection; the default `image_id` is `<group_id>/<intra_id>`, or a random name."""

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
    aspect: float | None = Field(description="width over height")
    orientation: Literal["landscape", "portrait", "square"] | None
    colours: list[str] | None = Field(description="the names of its colours, the largest first")
    sharpness: float | None
    complexity: float | None
    captions: dict[str, str] | None = Field(description="what a model wrote, by language")


class Images(BaseModel):
    """Images in order of their ids; `after` is the parameter for the next page, null on the last one."""

    images: list[ImageInfo]
    after: str | None


class RequeueForm(Form):
    """The rejected images that the next run tries again; by default all of them."""

    reason: Word | None = None
    uri: KnownId | None = None


class VerdictForm(Form):
    """A decision about two images of a collection."""

    a: KnownId
    b: KnownId
    verdict: Literal["duplicate", "different"] | None = Field(description="null removes the decision")


Tier = Literal["bytes", "picture", "scene"]
