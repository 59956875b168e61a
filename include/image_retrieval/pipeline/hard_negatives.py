"""Finds hard negatives for the pictures of a training set, by the vectors of the collection that it was packed from."""

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.shown import find_shown
from image_retrieval.settings import Settings
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import connect
from image_retrieval.store.negatives import read_hard_negatives
from image_retrieval.training.packs import read_index

BATCH = 500  # images of a query


def hard_negatives(pack: str, collection: str, settings: Settings) -> dict[str, list[str]]:
    """The hard negatives of the pictures of a pack, by image id; only such as are in the pack.

    Raises UserError if the collection has no vectors, or no hard negatives for this pack.
    """
    ids = read_index(ObjectStore(settings), pack, ("image_id",))["image_id"].to_pylist()
    packed = set(ids)
    found: dict[str, list[str]] = {}
    with connect(settings, snapshot=True) as connection:
        shown = find_shown(connection, settings, collection)
        if shown is None:
            raise UserError(f"collection {collection!r} has no vectors yet: run it first")
        space = VectorSpace(shown.name, shown.model.name)
        for at in range(0, len(ids), BATCH):
            found |= read_hard_negatives(connection, space, ids[at : at + BATCH])
    kept = {image: [other for other in others if other in packed] for image, others in found.items()}
    if not any(kept.values()):
        raise UserError(
            f"{pack} has no two pictures that collection {collection!r} finds alike at ranks 10 to 100: name the "
            "collection that it was packed from, with more than ten images"
        )
    return kept
