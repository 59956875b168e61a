"""Reads the files beside images that describe them, `a.json` and `a.txt` beside `a.jpg`."""

from functools import partial
from typing import Any

from image_retrieval.batches import in_order
from image_retrieval.collection import Collection
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.image_inputs import stored_image
from image_retrieval.objects import ObjectStore
from image_retrieval.sources.descriptions import LARGEST, of_json, of_text
from image_retrieval.store import sidecars
from image_retrieval.store.connection import Connection
from image_retrieval.store.listings import Refused
from image_retrieval.store.sidecars import About, Sidecar

AT_ONCE = 32  # files that are read


def describe_by_sidecars(connection: Connection, collection: Collection, store: ObjectStore) -> list[Refused]:
    """Put into the table `told` what sidecars say, which have left the table `listed`; read those that changed.

    Returns those that cannot be used; their images stay as they were described before.
    """
    refused: list[Refused] = []
    sidecars.keep_unchanged(connection, collection.name)
    for batch in sidecars.read_changed(connection):
        found = list(in_order(partial(_read, store=store), batch, AT_ONCE))
        sidecars.tell_sidecars(connection, [entry for entry in found if isinstance(entry, About)])
        refused += [entry for entry in found if isinstance(entry, Refused)]
    sidecars.drop_sidecars(connection)
    return refused


def _read(sidecar: Sidecar, store: ObjectStore) -> About | Refused:
    """What the files say: a caption of the JSON comes before the text's."""
    about: dict[str, Any] = {}
    uri, etag = "", ""
    try:
        if sidecar.txt_uri:
            uri, etag = sidecar.txt_uri, sidecar.txt_etag or ""
            about |= of_text(stored_image(store, uri, etag=etag, limit=LARGEST))
            about["txt"] = etag
        if sidecar.json_uri:
            uri, etag = sidecar.json_uri, sidecar.json_etag or ""
            about |= of_json(stored_image(store, uri, etag=etag, limit=LARGEST))
            about["json"] = etag
    except ImageRejected as rejection:
        return Refused(uri, etag, rejection.reason, rejection.detail)
    except (ValueError, RecursionError) as error:
        return Refused(uri, etag, Reason.INVALID_LINE, f"the file {error}")
    return About(sidecar.short_id, about)
