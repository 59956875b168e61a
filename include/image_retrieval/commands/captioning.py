"""Commands that caption images and embed captions: of a whole collection here, or of shards in a pod."""

import argparse
import signal
from functools import partial
from typing import Any, get_args

import structlog
from pydantic import ValidationError

from image_retrieval import __version__
from image_retrieval.collection import Dtype
from image_retrieval.commands.arguments import number
from image_retrieval.commands.collections import listed_collection
from image_retrieval.commands.embedding import ended, given_options, pairs_of
from image_retrieval.commands.printing import print_json
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings

log = structlog.get_logger()
SHARDS, TEXTS = "caption-shards", "embed-texts"
DEVICE = "cpu, cuda, or the rank of a GPU"


def add_to(add: Any) -> None:
    """Add the commands by a function that adds one."""
    add("caption", caption, collection=True).add_argument("--device", help=DEVICE)
    shards = add(SHARDS, caption_shards)
    shards.add_argument("resampled", metavar="RESAMPLED", help="URI or path of a packed shard")
    shards.add_argument("output", metavar="CAPTIONS", help="URI or path to write the captions to (Parquet)")
    shards.add_argument("more", nargs="*", metavar="…", help="the two files of each further shard")
    shards.add_argument("--captions", required=True, metavar="JSON", help="the key `captions` of the collection")
    shards.add_argument("--batch-size", type=number(1, 1024), metavar="N", help="images per batch, of a model here")
    shards.add_argument("--device", help=DEVICE)
    texts = add(TEXTS, embed_texts)
    texts.add_argument("texts", metavar="TEXTS", help="URI or path of a file of captions")
    texts.add_argument("embeddings", metavar="EMBEDDINGS", help="URI or path to write the vectors to (Parquet)")
    texts.add_argument("more", nargs="*", metavar="…", help="the two files of each further shard, for the same model")
    texts.add_argument("--model", required=True, metavar="SOURCE", help="a folder, a hub id, or a prefix of a store")
    texts.add_argument("--revision", metavar="COMMIT", help="commit of a hub id")
    texts.add_argument("--dtype", choices=get_args(Dtype), help="precision in which the model runs")
    texts.add_argument("--batch-size", type=number(1, 4096), metavar="N", help="captions per batch (64)")
    texts.add_argument("--device", help=DEVICE)


def caption(options: argparse.Namespace, settings: Settings) -> None:
    """Describe new and changed images by the collection's captioner, and embed captions under its text_model."""
    from image_retrieval.pipeline.caption_vectors import embed_captions
    from image_retrieval.pipeline.captioning import caption_collection
    from image_retrieval.progress import stage_progress

    for ending in (signal.SIGTERM, signal.SIGHUP):  # without a handler they would lose what is not saved yet
        signal.signal(ending, ended)
    collection = listed_collection(settings, options.collection)
    device, report = options.device or settings.device, dict[str, object]()
    if collection.captions or not collection.text_model:
        with stage_progress(("resample", "caption")) as show:
            report |= caption_collection(collection, settings, device=device, planned=show.expect, progress=show)
    if collection.text_model:
        with stage_progress(("embed",)) as show:
            done = partial(show, "embed")
            report["vectors"] = embed_captions(collection, settings, device=device, planned=show.expect, progress=done)
    print_json(report)


def caption_shards(options: argparse.Namespace, settings: Settings) -> None:
    """Caption packed shards. The captioning pods run this command."""
    signal.signal(signal.SIGTERM, ended)  # process 1 of a container has no default handler
    pairs = pairs_of([options.resampled, options.output, *options.more])
    log.info("captioning", input=options.resampled, shards=len(pairs), version=__version__)  # as a sign of life
    from image_retrieval.caption_options import CaptionOptions
    from image_retrieval.captioning.shard_captioner import shard_captioner
    from image_retrieval.progress import stage_progress

    try:
        wanted = CaptionOptions.model_validate_json(options.captions)
    except ValidationError as invalid:
        told = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in invalid.errors())
        raise UserError(f"--captions: {told}; see docs/captions.md") from None
    if options.batch_size is not None and wanted.model is not None:
        wanted = wanted.model_copy(update={"model": wanted.model.model_copy(update={"batch_size": options.batch_size})})
    captioner = shard_captioner(wanted, settings, options.device or settings.device)
    with stage_progress(("caption",)) as show:
        for resampled, captions in pairs:
            captioner.run(resampled, captions, lambda done: show("caption", done))


def embed_texts(options: argparse.Namespace, settings: Settings) -> None:
    """Turn files of captions into vectors. The pods that embed captions run this command."""
    signal.signal(signal.SIGTERM, ended)  # process 1 of a container has no default handler
    pairs = pairs_of([options.texts, options.embeddings, *options.more])
    log.info("embedding", input=options.texts, shards=len(pairs), version=__version__)  # as a sign of life
    from image_retrieval.collection import ModelOptions
    from image_retrieval.embedding.texts import embed_texts
    from image_retrieval.models.towers import text_tower
    from image_retrieval.progress import stage_progress

    model = ModelOptions(name="given", source=options.model, **given_options(options))
    device = options.device or settings.device
    with stage_progress(("embed",)) as show:
        for texts, embeddings in pairs:
            embed_texts(
                texts,
                embeddings,
                model,
                lambda: text_tower(model, settings, device),
                settings,
                progress=lambda done: show("embed", done),
            )
