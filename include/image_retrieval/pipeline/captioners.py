"""The captioner that a collection names, ready to describe shards."""

from collections.abc import Callable
from dataclasses import dataclass

from image_retrieval.caption_options import CaptionEndpoint, CaptionOptions
from image_retrieval.captioning.answers import Writer
from image_retrieval.collection import Collection, ResampleChoice
from image_retrieval.errors import UserError
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.settings import Settings
from image_retrieval.store.captions import CaptionSpace

Run = Callable[[str, str, Callable[[int], None]], None]


@dataclass(frozen=True, slots=True)
class Captioning:
    """A collection's captioner: the `size` of its pictures and how they are made, and `run`, which describes a shard.

    `kept`: the collection's kept pictures are such pictures. `run` takes the packed pixels, the file to write, and what
    is called with the number of further images. `spent` tells whether its budget is used up.
    """

    space: CaptionSpace
    size: tuple[int, int]
    resample: ResampleChoice
    kept: bool
    run: Run
    spent: Callable[[], bool]


def captioning_of(collection: Collection, settings: Settings, device: str) -> Captioning:
    """The captioner that a collection names. Raises UserError if it names none, or its files cannot be used."""
    options = collection.captions
    if options is None:
        raise UserError(
            f"collection {collection.name!r} names no captioner: add `captions` to its entry, see docs/captions.md"
        )
    if isinstance(options.writer, CaptionEndpoint):
        return _by_endpoint(collection, options, options.writer, settings)
    return _by_model(collection, options, settings, device)


def _by_model(collection: Collection, options: CaptionOptions, settings: Settings, device: str) -> Captioning:
    from image_retrieval.captioning.caption_shard import caption_shard
    from image_retrieval.captioning.model_writer import ModelWriter
    from image_retrieval.models.captioners.description import captions_digest, describe_captioner
    from image_retrieval.models.captioners.loading import captioner, captioner_folder

    assert options.model is not None
    batch, languages = options.model.batch_size, list(options.languages)
    folder = captioner_folder(options, settings)
    description = describe_captioner(folder, options)
    loaded: list[Writer] = []

    def load() -> Writer:
        if not loaded:
            loaded.append(ModelWriter(captioner(options, settings, device), languages, batch))
        return loaded[0]

    def run(resampled: str, captions: str, progress: Callable[[int], None]) -> None:
        caption_shard(resampled, captions, languages, load, settings, progress=progress)

    space = CaptionSpace(collection.name, options.model.name, captions_digest(folder, options), languages)
    resample = collection.resample.model_copy(update={"keep": False})
    kept = _kept_size(collection, settings) == description.size
    return Captioning(space, description.size, resample, kept, run, lambda: False)


def _by_endpoint(
    collection: Collection, options: CaptionOptions, endpoint: CaptionEndpoint, settings: Settings
) -> Captioning:
    from image_retrieval.captioning.caption_shard import caption_shard
    from image_retrieval.captioning.endpoint import EndpointWriter

    languages, writer = list(options.languages), EndpointWriter(endpoint, options, settings)

    def run(resampled: str, captions: str, progress: Callable[[int], None]) -> None:
        caption_shard(resampled, captions, languages, lambda: writer, settings, progress=progress)

    space = CaptionSpace(collection.name, endpoint.name, writer.digest, languages)
    padded = collection.resample.model_copy(update={"keep": False, "fit": "pad"})
    return Captioning(space, (endpoint.side, endpoint.side), padded, False, run, writer.spent)


def _kept_size(collection: Collection, settings: Settings) -> tuple[int, int]:
    """The width and height of the collection's kept pictures."""
    if collection.resample.target_size is not None:
        return collection.resample.target_size
    return describe(model_folder(collection.model.source, collection.model.revision, settings, weights=False)).size
