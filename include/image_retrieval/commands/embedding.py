"""Commands of the embedding pods. They need neither the database nor the collections file."""

import argparse
import signal
from typing import Any, NoReturn

import structlog

from image_retrieval import __version__
from image_retrieval.commands.collections import listed_collection
from image_retrieval.commands.printing import print_json
from image_retrieval.errors import UserError
from image_retrieval.exit_codes import TERMINATED
from image_retrieval.settings import Settings

log = structlog.get_logger()


def embed(options: argparse.Namespace, settings: Settings) -> None:
    """Turn packed shards into vectors. The embedding pods run this command."""
    signal.signal(signal.SIGTERM, ended)  # process 1 of a container has no default handler
    pairs = pairs_of([options.resampled, options.embeddings, *options.more])
    log.info(
        "embedding", input=options.resampled, shards=len(pairs), version=__version__
    )  # before the slow imports, as a sign of life
    from image_retrieval.collection import ModelOptions
    from image_retrieval.embedding.backends import load_engine
    from image_retrieval.embedding.embed_shard import embed_shard
    from image_retrieval.progress import stage_progress

    model = ModelOptions(name="given", source=options.model, **given_options(options))
    with stage_progress(("embed",)) as show:
        for resampled, embeddings in pairs:
            embed_shard(
                resampled,
                embeddings,
                model,
                lambda: load_engine(model, settings, options.device or settings.device),
                settings,
                progress=lambda done: show("embed", done),
            )


def pairs_of(files: list[str]) -> list[tuple[str, str]]:
    """The input and the output of each shard. Raises UserError if one has no output."""
    if len(files) % 2:
        raise UserError(f"{files[-1]} has no output file: give the two files of each shard")
    return list(zip(files[::2], files[1::2], strict=True))


def ended(*received: object) -> NoReturn:
    """End this process as SIGTERM does, and let it save what is done."""
    raise SystemExit(TERMINATED)


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """The model options of the command line that are set."""
    names = ("revision", "dtype", "batch_size", "use_cls_token")
    return {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}


def healthcheck(options: argparse.Namespace, settings: Settings) -> None:
    """Load a model, embed a drawn picture, and check its vector."""
    from image_retrieval.collection import ModelOptions
    from image_retrieval.embedding.health import check_model

    if options.collection is None:
        model, size = ModelOptions(name="given", source=options.model, **given_options(options)), None
    else:
        collection = listed_collection(settings, options.collection)
        model, size = collection.model.model_copy(update=given_options(options)), collection.resample.target_size
    print_json(check_model(model, size, settings, options.device or settings.device))
