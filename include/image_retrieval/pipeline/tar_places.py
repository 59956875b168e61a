"""Where pictures lie in tars that no collection has listed: reads the headers of the tars."""

import io
from collections.abc import Iterable

import structlog

from image_retrieval.batches import in_order
from image_retrieval.image_inputs import rejection_of
from image_retrieval.objects import ObjectFault, ObjectMissing, ObjectStore
from image_retrieval.objects.ranges import HeaderReader
from image_retrieval.sources.tar_headers import BLOCK, TarDamaged
from image_retrieval.sources.tar_samples import Samples, read_samples
from image_retrieval.tar_uris import member_uri, split_member, version_of

AT_ONCE = 4  # tars that are read: each may have a million members
Place = tuple[str, int]  # a member's version, and its size in bytes

log = structlog.get_logger()


def find_places(uris: Iterable[str], store: ObjectStore) -> dict[str, Place]:
    """The places of those URIs that name a picture in a tar; those that their tars do not hold are left out.

    A tar that cannot be read is logged. Raises UserError if the store does not answer.
    """
    wanted: dict[str, set[str]] = {}
    for uri in uris:
        if member := split_member(uri):
            wanted.setdefault(member[0], set()).add(member[1])
    found: dict[str, Place] = {}
    for tar, places in zip(
        wanted, in_order(lambda tar: _places(tar, wanted[tar], store), wanted, AT_ONCE), strict=True
    ):
        found |= {member_uri(tar, name): place for name, place in places.items()}
    return found


def _places(tar: str, wanted: set[str], store: ObjectStore) -> dict[str, Place]:
    """Those of one tar, by the names of its members."""
    try:
        etag, held = _read(tar, store)
    except ObjectFault as fault:
        log.warning("unreadable tar", uri=tar, reason=str(rejection_of(fault).reason), detail=str(fault))
        return {}
    except TarDamaged as damage:
        log.warning("unreadable tar", uri=tar, reason="undecodable", detail=f"the tar {damage}")
        return {}
    members = zip(held.names, held.offsets, held.sizes, strict=True)
    return {name: (version_of(etag, offset, size), size) for name, offset, size in members if name in wanted}


def _read(tar: str, store: ObjectStore) -> tuple[str, Samples]:
    """The ETag of a tar, and what it holds."""
    entry = store.stat(tar)
    if entry is None:
        raise ObjectMissing(f"{tar} does not exist")

    def fetch(start: int, stop: int) -> bytes:
        return store.read_range(tar, (start, stop), etag=entry.etag)

    return entry.etag, read_samples(io.BufferedReader(HeaderReader(entry.size, fetch), buffer_size=BLOCK), entry.size)
