"""The client's results, as typed records that display themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from image_retrieval.client import showing
from image_retrieval.errors import ImageRejected, Unavailable, UserError
from image_retrieval.picture_options import ResampleChoice
from image_retrieval.pipeline.shown import ScoreOrigin, TextMode
from image_retrieval.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from PIL.Image import Image

    from image_retrieval.store.search import Found

PREVIEW = 448  # pixels, the longer side of `Hit.picture`


@dataclass(frozen=True)
class CollectionInfo:
    """A collection that can be searched, and the model whose vectors it has.

    `reads_texts`: it can be searched by texts; `calibrated`: its scores are calibrated, in at least one direction;
    `scores`: where the calibration of each such direction comes from, and when it was fitted; `caption_scores`: the
    same of the mode `caption`; `modes`: how texts find something in it; `made`: it was made through the API; `listed`:
    it is in collections.yaml.
    """

    name: str
    source: str
    model: str
    dimensions: int
    reads_texts: bool
    calibrated: bool
    made: bool
    listed: bool
    scores: tuple[ScoreOrigin, ...] = ()
    caption_scores: tuple[ScoreOrigin, ...] = ()
    modes: tuple[TextMode, ...] = ()


@dataclass(frozen=True)
class Match:
    """How alike two pictures are: `score` is 0 to 1 if `calibrated`, else the similarity (1 - cosine distance)."""

    similarity: float
    score: float
    calibrated: bool


@dataclass(frozen=True)
class Hit:
    """One image of the results.

    `similarity` is 1 - cosine distance; `score` is 0 to 1 if `Results.calibration` names a direction, else the
    similarity. `width` and `height` are those of the original in pixels. `unreadable` names the fields that cannot be
    shown, and why. Of a hybrid search, `found_by` names the sides that found it, and `scores` has the score by each.
    """

    image_id: str
    similarity: float
    score: float
    image_path: str
    resampled_image_path: str | None
    group_id: str | None
    intra_id: str | None
    caption: str | None
    width: int | None
    height: int | None
    attributes: dict[str, Any] | None
    unreadable: dict[str, str] = field(default_factory=dict)
    found_by: list[str] | None = None
    scores: dict[str, float] | None = None

    def open(self) -> "Image":
        """The original from the store: upright, in sRGB, in its full size. Raises UnusableImage and UserError."""
        return self._opened(None)

    @cached_property
    def picture(self) -> "Image":
        """A small copy of the original, at most 448 pixels wide and high. Raises as `open` does."""
        return self._opened(PREVIEW)

    def _opened(self, side: int | None) -> "Image":
        from image_retrieval.client.errors import unusable
        from image_retrieval.client.pictures import opened, read_stored
        from image_retrieval.pipeline.table_images import smaller_or_original

        settings, choice = self.__dict__.get("_origin") or (load_settings(), ResampleChoice())
        uri = self.image_path if side is None else smaller_or_original(self.image_path, self.resampled_image_path)
        try:
            return opened(read_stored(uri, settings), choice, settings, side)
        except ImageRejected as rejection:
            raise unusable(self.image_path, rejection) from None

    def _thumbnail(self) -> str:
        """A data: URI, or the reason why there is none. Raises Unavailable."""
        kept: str | None = self.__dict__.get("_shown")
        if kept is None:
            try:
                kept = self.__dict__["_shown"] = showing.data_uri(self._opened(showing.SIDE))
            except Unavailable:
                raise
            except UserError as error:
                return str(error)
        return kept

    def _repr_html_(self) -> str:
        return showing.figures([self], calibrated=self.score != self.similarity)

    def __hash__(self) -> int:
        return hash((self.image_id, self.image_path))

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}  # not the settings, which hold keys


def hit_of(row: "Found", score: float, settings: Settings, choice: ResampleChoice) -> Hit:
    """A row of a search as a Hit, with the settings to read its picture."""
    hit = Hit(**row, score=score)
    hit.__dict__["_origin"] = settings, choice
    return hit


class Results(Sequence[Hit]):
    """The images that a search found, best first: a sequence of `Hit` that displays as a table or as pictures.

    `calibration` is the direction for which the scores are calibrated; None if they are plain similarities.
    """

    def __init__(self, collection: str, hits: Sequence[Hit], calibration: str | None) -> None:
        self.collection, self.calibration = collection, calibration
        self._hits = list(hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> "Results": ...

    def __getitem__(self, index: int | slice) -> "Hit | Results":
        if isinstance(index, slice):
            return Results(self.collection, self._hits[index], self.calibration)
        return self._hits[index]

    def __len__(self) -> int:
        return len(self._hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._hits)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Results):
            return NotImplemented
        return (self.collection, self.calibration, self._hits) == (other.collection, other.calibration, other._hits)

    __hash__ = None  # type: ignore[assignment]

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per hit, with the names of `Hit`'s fields."""
        return [hit.__getstate__() for hit in self._hits]

    def to_arrow(self) -> "pyarrow.Table":
        """A table with one row per hit; `attributes` and `unreadable` are JSON texts, as in an export."""
        return showing.arrow_table(self.to_dicts())

    def to_pandas(self) -> "pandas.DataFrame":
        """A data frame with one row per hit. Raises UserError if pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise UserError("pandas is not installed: `pip install pandas`, or use to_arrow() or to_dicts()") from None
        return pandas.DataFrame(self.to_dicts(), columns=[each.name for each in fields(Hit)])

    def __repr__(self) -> str:
        return showing.table(self.collection, self._hits, calibrated=self.calibration is not None)

    def _repr_html_(self) -> str:
        return showing.figures(self._hits, calibrated=self.calibration is not None)
