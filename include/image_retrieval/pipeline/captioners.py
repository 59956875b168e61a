"""The captioner that a collection names, and how pictures are resampled for it, without loading it."""

from dataclasses import dataclass, replace

from image_retrieval.caption_options import CaptionEndpoint, CaptionOptions
from image_retrieval.captioning.form import endpoint_digest
from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.models.captioners.description import captioner_folder, captions_digest, describe_captioner
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.settings import Settings
from image_retrieval.shards import ManifestRow
from image_retrieval.store.captions import CaptionSpace

UNBOUNDED = 2**62  # images


@dataclass(frozen=True, slots=True)
class Captioning:
    """What identifies a captioner's captions, and `facts` for the metadata of its manifests.

    `kept`: whether it reads pictures of the size of the kept ones. `most`: images that one run may give it.
    """

    space: CaptionSpace
    facts: dict[str, str]
    kept: bool
    most: int

    def pictures(self, images: list[ManifestRow]) -> list[ManifestRow]:
        """Rows of a manifest, with the kept pictures only if the captioner can read them."""
        return images if self.kept else [replace(image, resampled_uri=None) for image in images]


def options_of(collection: Collection) -> CaptionOptions:
    """The key `captions` of a collection. Raises UserError if it has none."""
    if collection.captions is None:
        raise UserError(
            f"collection {collection.name!r} names no captioner: add `captions` to its entry, see docs/captions.md"
        )
    return collection.captions


def drawn_for(collection: Collection) -> Collection:
    """The collection, resampled for its captioner: an endpoint's pictures are padded, so that they keep their shape."""
    options, resample = options_of(collection), collection.resample
    fit: dict[str, str] = {"fit": "pad"} if options.endpoint else {}
    return collection.model_copy(update={"resample": resample.model_copy(update={"keep": False, **fit})})


def captioning_of(collection: Collection, settings: Settings) -> Captioning:
    """The captioner that a collection names. Raises UserError if it names none, or its files cannot be used."""
    options = options_of(collection)
    captioner = options.captioner
    if isinstance(captioner, CaptionEndpoint):
        digest, size, kept = endpoint_digest(captioner, options), (captioner.side, captioner.side), False
    else:
        folder = captioner_folder(options, settings)
        size = describe_captioner(folder, options).size
        digest, kept = captions_digest(folder, options), _kept_size(collection, settings) == size
    space = CaptionSpace(collection.name, captioner.name, digest, list(options.languages))
    facts = {"width": str(size[0]), "height": str(size[1])}
    if collection.table_version is not None:
        facts["table_version"] = str(collection.table_version)
    return Captioning(space, facts, kept, options.endpoint.budget_images if options.endpoint else UNBOUNDED)


def _kept_size(collection: Collection, settings: Settings) -> tuple[int, int]:
    """The width and height of the collection's kept pictures."""
    if collection.resample.target_size is not None:
        return collection.resample.target_size
    return describe(model_folder(collection.model.source, collection.model.revision, settings, weights=False)).size
