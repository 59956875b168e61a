"""Index files as collections.yaml names them: their formats, and the names of their columns."""

from pydantic import BaseModel, ConfigDict, Field

INDEX_FORMATS = ("txt", "csv", "jsonl", "parquet")


def index_format(uri: str) -> str | None:
    """The format of the index file at a URI, by its suffix; None for a prefix."""
    suffix = uri.rpartition(".")[2].lower()
    return suffix if suffix in INDEX_FORMATS else None


class IndexColumns(BaseModel):
    """The columns of an index file or a table, where they have other names than these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: str | None = Field(None, description="where the image lies")
    image: str | None = Field(None, description="of a table: the bytes of the image itself, in place of a URI")
    id: str | None = Field(None, description="its image_id")
    etag: str | None = Field(None, description="its version; without one, the store is asked for it")
    caption: str | None = Field(None, description="what it shows, in words")
    attributes: str | None = Field(None, description="a JSON object of what searches filter by")
    group_id: str | None = Field(None, description="what several images show")
    intra_id: str | None = Field(None, description="which image of its group it is")
