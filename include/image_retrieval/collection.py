"""Reads and checks include/collections.yaml."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.errors import UserError
from image_retrieval.globs import matches_any
from image_retrieval.index_columns import IndexColumns
from image_retrieval.located_yaml import Located
from image_retrieval.metadata_options import Metadata, Query
from image_retrieval.nested_options import part_at
from image_retrieval.option_types import NAME_PATTERN as NAME_PATTERN
from image_retrieval.option_types import Dtype as Dtype
from image_retrieval.option_types import Name as Name
from image_retrieval.patterns import find_groups, group_names
from image_retrieval.picture_options import FORMATS as FORMATS
from image_retrieval.picture_options import SUFFIXES as SUFFIXES
from image_retrieval.picture_options import ResampleChoice, Strict
from image_retrieval.picture_options import ResampleOptions as ResampleOptions
from image_retrieval.schedules import check_schedule
from image_retrieval.source_kinds import SourceFormat, lines_format, misfit, source_uri
from image_retrieval.spaces import VectorSpace
from image_retrieval.tar_uris import lists_tars
from image_retrieval.watch_options import WatchOptions

RESERVED = ("duplicates",)  # views of schema images that do not belong to a collection
ID_GROUPS = {"group_id", "intra_id"}


class ModelOptions(Strict):
    """The model that makes a collection's vectors, and how it runs."""

    name: Name = Field(description="names the vector table")
    source: str = Field(description="a folder, a hub id, or s3://bucket/prefix/ with config.json and weights")
    revision: str | None = Field(None, description="commit of a hub id")
    dtype: Dtype = "auto"
    batch_size: int = Field(64, ge=1, le=4096)
    use_cls_token: bool = Field(True, description="vision transformers: the class token, else the mean of the patches")


class Collection(Strict):
    """One source of images, and the model for its view `images.<name>`."""

    name: Name
    source: Annotated[str, AfterValidator(source_uri)]
    format: SourceFormat | None = Field(None, description="what the source holds; null: images, or by its suffix")
    table_version: int | None = Field(None, ge=0, description="of Delta, or a snapshot of Iceberg; null: the latest")
    glob: tuple[str, ...] = tuple(f"*.{suffix}" for suffix in SUFFIXES)
    follow_links: bool = Field(True, description="for a file:// source: list linked folders, each once")
    columns: IndexColumns = IndexColumns()
    metadata: Metadata = Field((), description="what describes images: sidecar, headers, tags, or a list of them")
    attributes_from: Query | None = Field(None, description="SQL query of captions and attributes, by image or group")
    model: ModelOptions
    resample: ResampleChoice = ResampleChoice()
    captions: CaptionOptions | None = Field(None, description="who describes the images in words; null: nobody")
    text_model: ModelOptions | None = Field(None, description="makes vectors of captions; null: they have none")
    schedule: str | None = Field("@daily", description="cron expression or preset; null: only by hand")
    watch: WatchOptions | None = Field(None, description="embed what hints name between scheduled runs; null: do not")
    id_pattern: str | None = Field(None, description="regular expression of RE2 with groups group_id and / or intra_id")
    deletion_limit: float = Field(0.2, ge=0, le=1, description="share of images that may disappear at once")
    shard_size: int = Field(10_000, ge=1, le=1_000_000, description="images per shard")
    max_shards: int = Field(200, ge=1, le=1000, description="shards per run; the next run takes the rest")
    max_runs_a_day: int = Field(24, ge=1, le=1000, description="runs in 24 hours that follow one another by themselves")
    distance: Literal["cosine", "inner_product", "l2"] = Field("cosine", description="how vectors are compared")
    quantized: bool = Field(False, description="index only the vectors' signs, and rank what it finds by the vectors")
    recall_target: float = Field(0.99, gt=0, le=1, description="recall@10 of searches through the index, at least")
    filter_indexes: bool = Field(
        False, description="the upkeep makes indexes for filters that are slow, and drops them"
    )
    scene_similarity: float = Field(0.95, gt=0, le=1, description="least cosine of two images of the same scene")

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, value: str) -> str:
        if value in RESERVED:
            raise ValueError(f"{value!r} is not allowed: images.{value} is the name of another view")
        return value

    @field_validator("glob", mode="before")
    @classmethod
    def _one_glob_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("glob")
    @classmethod
    def _globs_name_something(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if not PurePosixPath(pattern).parts:
                raise ValueError(f"{pattern!r} is not allowed: use a glob such as *.jpg or front/*.png")
        return value

    @field_validator("schedule")
    @classmethod
    def _schedule_comes(cls, value: str | None) -> str | None:
        return None if value is None else check_schedule(value)

    @field_validator("id_pattern")
    @classmethod
    def _pattern_has_its_groups(cls, value: str | None) -> str | None:
        if value is None:
            return None
        shown = repr(value if len(value) <= 200 else f"{value[:200]}…")
        try:
            groups = group_names(value)
        except ValueError as error:
            raise ValueError(f"{shown} {error}") from None
        if not groups or groups - ID_GROUPS:
            raise ValueError(f"{shown} needs a group (?P<group_id>…) or (?P<intra_id>…), and no other")
        return value

    @model_validator(mode="after")
    def _keys_fit_the_source(self) -> "Collection":
        given = (self.source, self.format, self.columns, self.table_version, self.metadata)
        if told := misfit(*given, watched=bool(self.watch)):
            raise ValueError(told)
        return self

    @property
    def space(self) -> VectorSpace:
        """This collection under its model."""
        return VectorSpace(self.name, self.model.name)

    @property
    def vector_table(self) -> str:
        """The space's vector table."""
        return self.space.vector_table

    @property
    def dag_id(self) -> str:
        """The name of this collection's DAG."""
        return f"image_embedding_{self.name}"

    @property
    def face(self) -> str:
        """The space's view."""
        return self.space.view

    @property
    def index_format(self) -> str | None:
        """The format of the source if it is an index file or a table; None for a prefix or an inventory."""
        return lines_format(self.source, self.format)

    @property
    def lists_tars(self) -> bool:
        """Whether the source is a tar, or a pattern of tars."""
        return lists_tars(self.source)

    def takes(self, key: str) -> bool:
        """Whether a key (relative to the source) matches one of the globs, in any case."""
        return matches_any(key, self.glob)

    def groups(self, key: str) -> tuple[str | None, str | None]:
        """The `group_id` and `intra_id` that the pattern finds in a key, relative to the source."""
        found = find_groups(self.id_pattern, key) if self.id_pattern else {}
        return found.get("group_id"), found.get("intra_id")


def _describe(error: Any) -> str:
    key = " ".join(".".join(str(part) for part in error["loc"]).split())
    found = repr(error["input"])
    found = found if len(found) <= 200 else f"{found[:200]}…"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed are {', '.join(_fields_beside(error['loc']))}"
    if error["type"] == "string_pattern_mismatch":
        return f"{key}: {found} is not allowed: use a letter, then letters, digits and _, in lower case"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in ("value_error", "missing"):  # ours name the value
        return f"{key}: {message}"
    meant = error["type"] == "string_type" and not isinstance(error["input"], list | dict)
    return f"{key}: {message} (found {found}{'; write it in quotes' if meant else ''})"


def _fields_beside(location: tuple[str | int, ...]) -> list[str]:
    model = part_at(Collection, location[1:-1])
    return [name for name in model.model_fields if name != "name" or model is not Collection]


def load_collections(path: Path) -> dict[str, Collection]:
    """Read and check the file. Raises UserError that names the file, the line, the key and what is allowed."""
    try:
        located = Located(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: it lists the collections; see docs/collections.md") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    document = located.document
    entries = document.get("collections") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(entries, dict) or not entries:
        raise UserError(f"{path}: needs one key `collections` with one entry per collection")
    collections = {name: _load_one(path, located, name, entry) for name, entry in entries.items()}
    first: dict[str, str] = {}
    for name, entry in collections.items():
        other = first.setdefault(entry.space.stem, name)
        if other != name:
            line = located.line(("collections", name))
            raise UserError(
                f"{path}: line {line}: {name}: its vector table {entry.vector_table} would be that of {other}, "
                "or its index: rename one of the two models"
            )
    return collections


def _load_one(path: Path, located: Located, name: str, entry: Any) -> Collection:
    if not isinstance(entry, dict) or "name" in entry:
        message = f"line {located.line(('collections', name))}: {' '.join(name.split())}"
        raise UserError(
            f"{path}: {message}: an entry is a mapping of keys such as `source` and `model`, without `name`"
        )
    try:
        return Collection(name=name, **entry)
    except ValidationError as invalid:
        problems = []
        for error in invalid.errors():
            line = located.line(("collections", name, *error["loc"]))
            problems.append(f"line {line}: {_describe({**error, 'loc': (name, *error['loc'])})}")
        raise UserError(f"{path}: " + "; ".join(problems)) from None


def find_collection(path: Path, name: str) -> Collection:
    """One collection of the file. Raises UserError that lists the existing ones."""
    collections = load_collections(path)
    if name not in collections:
        raise UserError(f"unknown collection {name!r}: {path} has {', '.join(collections)}")
    return collections[name]
