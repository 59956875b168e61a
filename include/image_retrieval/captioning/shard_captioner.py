"""Captions packed shards by the model or the endpoint that options name."""

from collections.abc import Callable
from dataclasses import dataclass

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.captioning.answers import Captioner
from image_retrieval.captioning.caption_shard import caption_shard
from image_retrieval.captioning.endpoint import EndpointCaptioner
from image_retrieval.captioning.model_captioner import ModelCaptioner
from image_retrieval.models.captioners.loading import captioner
from image_retrieval.settings import Settings


@dataclass(frozen=True, slots=True)
class ShardCaptioner:
    """`run` captions a shard; `spent` tells whether the budget of an endpoint is used up.

    `run` takes the URIs of the packed pixels and of the captions, and a function that is called with the number of
    further images done.
    """

    run: Callable[[str, str, Callable[[int], None]], None]
    spent: Callable[[], bool]


def shard_captioner(options: CaptionOptions, settings: Settings, device: str) -> ShardCaptioner:
    """What captions shards: a model, loaded when there is work, or an endpoint, with one budget for all shards."""
    endpoint = EndpointCaptioner(options.endpoint, options, settings) if options.endpoint else None

    def load() -> Captioner:
        if endpoint is not None:
            return endpoint
        assert options.model is not None
        return ModelCaptioner(captioner(options, settings, device), options.languages, options.model.batch_size)

    def run(resampled: str, captions: str, progress: Callable[[int], None]) -> None:
        caption_shard(resampled, captions, options.languages, load, settings, progress=progress)

    return ShardCaptioner(run, endpoint.spent if endpoint else lambda: False)
