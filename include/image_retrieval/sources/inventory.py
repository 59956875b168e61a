"""Finds an inventory of a bucket, as S3, OSS and OBS write them, and lists the objects that it names."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectMissing, ObjectStore, StoredObject
from image_retrieval.objects.uris import root_of
from image_retrieval.schemes import scheme_of
from image_retrieval.source_kinds import MANIFEST
from image_retrieval.sources.inventory_files import READERS, DataFile, local_copy

DATED = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}T\d{{2}}-\d{{2}}Z/{MANIFEST}")  # under the folder of a configuration
LARGEST = 2**26  # bytes of a manifest: of some 200,000 data files
MILLISECONDS = 10**11  # numbers from here on are no seconds, which OSS writes, since these would be past the year 5000

log = structlog.get_logger()


class _Told(BaseModel):
    """A file that the manifest names."""

    key: str = Field(min_length=1)
    size: int | None = None
    md5: str | None = Field(None, alias="MD5checksum")


class _Manifest(BaseModel):
    """What is read of a manifest.json."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    bucket: str = Field(alias="sourceBucket", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    created: int = Field(alias="creationTimestamp", gt=0)
    form: str = Field(alias="fileFormat")
    layout: str = Field(alias="fileSchema")
    files: list[_Told]


@dataclass(frozen=True, slots=True)
class Inventory:
    """An inventory of the bucket `root`, such as s3://photos/, and when the store began to make it."""

    uri: str
    root: str
    created: datetime
    form: str
    columns: tuple[str, ...]  # of CSV
    files: tuple[DataFile, ...]


def find_inventory(source: str, store: ObjectStore) -> Inventory:
    """The inventory of a manifest, or the latest one under the folder of an inventory configuration.

    Raises UserError if there is none, or if it cannot be read.
    """
    uri = source if source.endswith(f"/{MANIFEST}") else _latest(source, store)
    try:
        told = _Manifest.model_validate_json(store.read(uri, limit=LARGEST))
    except ValidationError as invalid:
        error = invalid.errors()[0]
        place = ".".join(str(part) for part in error["loc"]) or "it"
        raise UserError(f"{uri} is no manifest of an inventory: {place}: {error['msg']}") from None
    form = told.form.lower()
    if form not in READERS:
        raise UserError(f"{uri} tells of files of the format {told.form!a}: CSV, ORC and Parquet can be read")
    seconds = told.created / 1000 if told.created >= MILLISECONDS else told.created
    try:
        created = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise UserError(f"{uri} is no manifest of an inventory: creationTimestamp: {told.created} is no time") from None
    return Inventory(
        uri,
        f"{scheme_of(uri)}://{told.bucket}/",
        created,
        form,
        tuple(name.strip() for name in told.layout.split(",")),
        tuple(DataFile(root_of(uri) + entry.key, entry.size, entry.md5) for entry in told.files),
    )


def _latest(folder: str, store: ObjectStore) -> str:
    found = (entry.uri for page in store.pages(folder) for entry in page if DATED.fullmatch(entry.key))
    latest = max(found, default=None)
    if latest is None:
        raise UserError(
            f"there is no inventory under {folder}: give the folder in which the store writes such as "
            f"2026-11-26T01-00Z/{MANIFEST}, or a {MANIFEST} itself"
        )
    return latest


def inventory_pages(
    inventory: Inventory, store: ObjectStore, refusal: Callable[[str], str | None]
) -> Iterator[list[StoredObject]]:
    """The objects of an inventory in batches, with their keys in the bucket. Each data file is copied here first.

    `refusal` says why a URI may not be read, or None; such objects are left out. Raises UserError if a data file is
    missing or broken, has no field that is needed, or if no object may be read.
    """
    taken, left_out, why = 0, 0, ""
    for file in inventory.files:
        if told := refusal(file.uri):
            raise UserError(told)
        try:
            with local_copy(file, store) as path:
                for page in READERS[inventory.form](path, inventory.columns, file.uri, inventory.root):
                    allowed = []
                    for entry in page:
                        if told := refusal(entry.uri):
                            left_out, why = left_out + 1, told
                        else:
                            allowed.append(entry)
                    taken += len(allowed)
                    yield allowed
        except ObjectMissing:
            raise UserError(
                f"{inventory.uri} names {file.uri}, which does not exist: wait for the next inventory"
            ) from None
    if left_out and not taken:
        raise UserError(why)
    if left_out:
        log.warning("objects of the inventory may not be read", inventory=inventory.uri, objects=left_out, why=why)
