"""The key `captions` of an entry of collections.yaml: who describes its images, and in which languages."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from image_retrieval.option_types import Dtype, Name

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _languages(value: tuple[str, ...]) -> tuple[str, ...]:
    for language in value:
        if not LANGUAGE.fullmatch(language):
            raise ValueError(f"{language[:80]!r} is no language: use a code such as en, zh or pt-BR")
    if len(set(value)) < len(value):
        raise ValueError("a language is named twice")
    return value


def _one_is_a_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        fits = fits and not (parts.username or parts.query or parts.fragment)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("is no address: give http://host:port/v1, and its key as IMAGE_RETRIEVAL_CAPTIONS_KEY")
    return url.rstrip("/")


class CaptionModel(_Strict):
    """A model that writes captions in a process or pod of this project."""

    name: Name = Field(description="names its captions in the table")
    source: str = Field(description="a folder, a hub id, or s3://bucket/prefix/ with config.json and weights")
    revision: str | None = Field(None, description="commit of a hub id")
    dtype: Dtype = "auto"
    batch_size: int = Field(16, ge=1, le=1024)


class CaptionEndpoint(_Strict):
    """An OpenAI-compatible server that writes captions, such as vLLM or Ollama."""

    name: Name = Field(description="names its captions in the table")
    url: Annotated[str, AfterValidator(_address)] = Field(description="base address, such as http://host:8000/v1")
    model: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="the model's name there")
    side: int = Field(448, ge=32, le=2048, description="pixels per side of the square that is sent, with padding")
    concurrency: int = Field(4, ge=1, le=64, description="requests at once")
    seconds: float = Field(60, gt=0, le=3600, description="a request must be answered within this time")
    tries: int = Field(3, ge=1, le=10, description="how often a request is tried before it fails")
    budget_images: int = Field(10_000, ge=1, description="most images that one run sends")
    budget_tokens: int = Field(5_000_000, ge=1, description="most tokens that one run uses, as the server counts them")


class CaptionOptions(_Strict):
    """Who describes a collection's images."""

    model: CaptionModel | None = None
    endpoint: CaptionEndpoint | None = None
    languages: Annotated[
        tuple[str, ...], BeforeValidator(_one_is_a_list), AfterValidator(_languages), Field(min_length=1, max_length=8)
    ] = Field(("en",), description="languages of the captions; views show the first")
    prompt: Annotated[str, Field(min_length=1, max_length=4000, pattern=r"\S")] | None = Field(
        None, description="the question to the model, or the beginning of its captions; null: as usual for its family"
    )
    max_new_tokens: int = Field(50, ge=4, le=512, description="longest caption, in tokens of the model")
    when: Literal["run", "command"] = Field(
        "run", description="run: in runs, after the vectors; command: only by `image-retrieval caption`"
    )

    @model_validator(mode="after")
    def _one_captioner(self) -> "CaptionOptions":
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("needs either `model` or `endpoint`")
        return self

    @property
    def captioner(self) -> CaptionModel | CaptionEndpoint:
        """The captioner: the model or the endpoint."""
        found = self.model or self.endpoint
        assert found is not None
        return found


def in_runs(options: CaptionOptions | None) -> bool:
    """Whether runs write captions."""
    return options is not None and options.when == "run"
