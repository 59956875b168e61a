"""A page of a listing in columns: an object is made of them only where one is looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from image_retrieval.objects.base import Page, StoredObject


@dataclass(frozen=True, slots=True)
class Columns(Sequence[StoredObject]):
    """Objects whose keys are their URIs behind the first `start` characters."""

    start: int
    uris: list[str]
    etags: list[str]
    sizes: list[int]
    modified: list[datetime]

    def __len__(self) -> int:
        return len(self.uris)

    @overload
    def __getitem__(self, at: int) -> StoredObject: ...
    @overload
    def __getitem__(self, at: slice) -> "Columns": ...
    def __getitem__(self, at: int | slice) -> "StoredObject | Columns":
        uris, etags, sizes, modified = self.uris[at], self.etags[at], self.sizes[at], self.modified[at]
        if isinstance(at, slice):
            return Columns(self.start, uris, etags, sizes, modified)  # type: ignore[arg-type]
        return StoredObject(uris, uris[self.start :], etags, sizes, modified)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[StoredObject]:
        keys = [uri[self.start :] for uri in self.uris]
        return map(StoredObject, self.uris, keys, self.etags, self.sizes, self.modified)


def uris_of(page: Page) -> list[str]:
    """The URIs of a page's objects."""
    return page.uris if isinstance(page, Columns) else [entry.uri for entry in page]


def etags_of(page: Page) -> list[str]:
    """The etags of a page's objects."""
    return page.etags if isinstance(page, Columns) else [entry.etag for entry in page]


def sizes_of(page: Page) -> list[int]:
    """The sizes of a page's objects."""
    return page.sizes if isinstance(page, Columns) else [entry.size for entry in page]
