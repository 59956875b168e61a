"""Run the stages, searches and embedded services of image-retrieval from a terminal."""

import argparse
import io
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, get_args

from image_retrieval import __version__, logs
from image_retrieval.collection import Dtype
from image_retrieval.commands import (
    captioning,
    collections,
    datasets,
    embedding,
    models,
    search,
    services,
    serving,
    stages,
    training,
    weights,
)
from image_retrieval.commands.arguments import (
    finite_number,
    image,
    json_object,
    known_id,
    model_name,
    number,
    region,
    run_id,
    text,
    words,
)
from image_retrieval.errors import ImageRejected, OutOfMemory, Reason, Unavailable, UserError
from image_retrieval.exit_codes import MISTAKE, OUT_OF_MEMORY, OUTAGE
from image_retrieval.proxies import spare_loopback
from image_retrieval.redaction import redacted
from image_retrieval.settings import Settings, load_settings
from image_retrieval.values import MOST_RESULTS, printable

Command = Callable[[argparse.Namespace, Settings], int | None]
MODELS = "Add a model, list those in use, switch a collection to another one, and roll back."
MOST = 1_000_000_000  # limit of numbers that have no other limit
IMAGE_HELP = "a picture: a file, an http(s):// URL, an object such as s3://bucket/key, - for stdin"
MODEL_HELP = "a folder, a hub id, or a prefix such as s3://bucket/prefix/"
FOLDER_HELP = "a folder: a prefix of a store, such as s3://bucket/prefix, or a path"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{redacted(message)}; see `{self.prog} --help`")


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 for a failed run, 2 for a mistake that the user can correct.

    The commands of pods have further statuses: see exit_codes.py.
    """
    in_pods = False
    spare_loopback(os.environ)
    try:
        options = _options(sys.argv[1:] if arguments is None else arguments)
        in_pods = options.in_pods
        settings = load_settings()
        logs.configure(settings.log_format)
        status = options.command(options, settings)
        return int(status or 0)
    except (UserError, ImageRejected) as error:
        print(f"image-retrieval: {printable(str(error))}", file=sys.stderr)
        return _status(error) if in_pods else MISTAKE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line. Everything after `psql` goes to psql, including `--` and `-h`."""
    if arguments[:1] == ["psql"] and arguments[1:] != ["--help"]:
        options = _parser().parse_args(["psql"])
        options.arguments = arguments[1:]
        return options
    return _parser().parse_args(arguments)


def _status(error: Exception) -> int:
    """The exit status of an error in a pod's command."""
    if isinstance(error, OutOfMemory):
        return OUT_OF_MEMORY
    return OUTAGE if isinstance(error, Unavailable) else MISTAKE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="image-retrieval", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add_commands in (_services, _stages, _models, _searches, _contents, _programs):
        add_commands(commands)
    collections.add_to(_group(commands, "collections", collections.HELP), _add)
    training.add_to(_group(commands, "training", training.HELP), _add)
    weights.add_to(_group(commands, "weights", weights.HELP), _add)
    return parser


def _add(
    name: str,
    command: Command,
    *,
    to: Any,
    collection: bool = False,
    run: bool = False,
    json_too: bool = False,
) -> Any:
    """Add a command to others, with the arguments that several have."""
    sub = to.add_parser(name, help=command.__doc__, description=command.__doc__)
    sub.register("type", None, text)  # the type of arguments without another one
    sub.set_defaults(command=command, in_pods=name in ("embed", "healthcheck", captioning.SHARDS, captioning.TEXTS))
    if collection:
        sub.add_argument("collection", metavar="COLLECTION", help="an entry of include/collections.yaml")
    if run:
        sub.add_argument("--run", type=run_id, required=True, metavar="ID", help="the run that `list` planned")
        sub.add_argument("--shard", type=number(0, MOST), metavar="N", help="one shard; default: all")
    if json_too:
        sub.add_argument("--json", action="store_true", help="print JSON")
    return sub


def _services(commands: Any) -> None:
    add = partial(_add, to=commands)
    house = add("services", services.control)
    house.add_argument("action", choices=("up", "down", "status"))
    house.add_argument("--airflow", action="store_true", help="also start Airflow and its UI")
    add("migrate", services.migrate)
    add("take-over", services.take_over)


def _stages(commands: Any) -> None:
    add = partial(_add, to=commands)
    for name, command in (("list", stages.plan), ("run", stages.run)):
        stage = add(name, command, collection=True)
        stage.add_argument("--run", type=run_id, metavar="ID", help="ID of the run; default: a new one")
        stage.add_argument("--full", action="store_true", help="embed every image again")
        stage.add_argument("--requeue", action="store_true", help="try rejected images again, including final ones")
        stage.add_argument("--hinted", action="store_true", help="look only at the objects that hints name")
        stage.add_argument("--shard-size", type=number(1, 1_000_000), metavar="N", help="images per shard")
        if name == "list":
            stage.add_argument("--dry-run", action="store_true", help="only show what would be done")
        else:
            stage.add_argument("--device", help="cpu, cuda, or the rank of a GPU")
    add("resample", stages.resample, collection=True, run=True)
    add("upsert", stages.upsert, collection=True, run=True)
    captioning.add_to(add)
    embed = add("embed", embedding.embed)
    embed.add_argument("resampled", metavar="RESAMPLED", help="URI or path of a packed shard")
    embed.add_argument("embeddings", metavar="EMBEDDINGS", help="URI or path to write the vectors to (Parquet)")
    embed.add_argument("more", nargs="*", metavar="…", help="the two files of each further shard, for the same model")
    embed.add_argument("--model", required=True, metavar="SOURCE", help=MODEL_HELP)
    embed.add_argument("--batch-size", type=number(1, 4096), metavar="N", help="images per batch (64)")
    _model_options(embed)
    healthcheck = add("healthcheck", embedding.healthcheck)
    which = healthcheck.add_mutually_exclusive_group(required=True)
    which.add_argument("collection", nargs="?", metavar="COLLECTION", help="an entry of include/collections.yaml")
    which.add_argument("--model", metavar="SOURCE", help=MODEL_HELP)
    _model_options(healthcheck)


def _models(commands: Any) -> None:
    add = partial(_add, to=commands)
    of_models = _group(commands, "models", MODELS)
    add("list", models.list_models, json_too=True, to=of_models)
    adding = add("add", models.add, json_too=True, to=of_models)
    adding.add_argument("name", type=model_name, metavar="NAME", help="new name of the model")
    adding.add_argument("source", metavar="SOURCE", help=f"{MODEL_HELP}, or one file of weights in any of them")
    adding.add_argument("--revision", metavar="COMMIT", help="commit, branch or tag of a hub id")
    adding.add_argument("--tokenizer", metavar="SOURCE", help="where its tokenizer is, if not beside its weights")
    add("presets", models.presets, json_too=True, to=of_models)
    exporting = add("export", models.export, json_too=True, to=of_models)
    exporting.add_argument("--onnx", action="store_true", required=True, help="as ONNX files")
    exporting.add_argument("source", metavar="NAME", help=f"an added model, or {MODEL_HELP}")
    exporting.add_argument("folder", type=Path, metavar="FOLDER", help="where the files are written")
    exporting.add_argument("--revision", metavar="COMMIT", help="commit of a hub id")
    _cls_token(exporting)
    switch = add("switch", models.switch, collection=True, to=of_models)
    switch.add_argument("model", metavar="MODEL", help="name of the other model")
    switch.add_argument("--source", help=f"{MODEL_HELP}; not needed for a model that has made vectors")
    _model_options(switch)
    add("rollback", models.rollback, collection=True, to=of_models)


def _searches(commands: Any) -> None:
    add = partial(_add, to=commands)
    by_query = add("search", search.search, collection=True, json_too=True)
    query = by_query.add_mutually_exclusive_group(required=True)
    query.add_argument("--image", type=image, metavar="IMAGE", help=IMAGE_HELP)
    query.add_argument("--id", type=known_id, metavar="ID", help="search with an image of the collection")
    query.add_argument("--text", type=words, metavar="TEXT", help="search by a text (`--text=-red` if it begins so)")
    by_query.add_argument("--mode", choices=search.MODES, default="vector", help=search.MODE_HELP)
    by_query.add_argument("-k", type=number(1, MOST_RESULTS), default=10, metavar="N", help="number of results (10)")
    by_query.add_argument("--region", type=region, metavar="L,T,W,H", help=search.REGION_HELP)
    by_query.add_argument("--at-place", action="store_true", help=search.AT_PLACE_HELP)
    by_query.add_argument("--filter", type=json_object, metavar="JSON", help=search.FILTER_HELP)
    by_query.add_argument(
        "--min-similarity", type=finite_number, metavar="X", help="only results of at least this similarity"
    )
    by_query.add_argument("--grouped", action="store_true", help="only the best image of each group_id")

    add("embed-text", search.embed_text, collection=True).add_argument("text", type=words, metavar="TEXT")
    match = add("match", search.match, json_too=True)
    match.add_argument("a", type=image, metavar="A", help=IMAGE_HELP)
    match.add_argument("b", type=image, metavar="B", help="the other picture")
    match.add_argument("--collection", metavar="COLLECTION", help="collection whose model compares; default: the first")


def _contents(commands: Any) -> None:
    add = partial(_add, to=commands)
    rejected = add("rejected", search.rejected, collection=True, json_too=True)
    rejected.add_argument(
        "--reason", choices=[str(reason) for reason in Reason], metavar="REASON", help="only images with this reason"
    )
    rejected.add_argument("--uri", metavar="URI", help="only this object")
    rejected.add_argument(
        "--final",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="only images that are no longer tried, or only those that the next run tries again",
    )
    action = rejected.add_mutually_exclusive_group()
    action.add_argument("--limit", type=number(1, MOST), metavar="N", help="list only the first N, in order of URI")
    action.add_argument("--by-reason", action="store_true", help="count by reason instead of listing")
    action.add_argument("--requeue", action="store_true", help="let the next run try them again, including final ones")
    upkeep = add("upkeep", stages.upkeep, collection=True)
    upkeep.add_argument("--dry-run", action="store_true", help="only show what would be removed, and count orphans")
    add("map", stages.map_images, collection=True)
    for name, command in (("export", datasets.export), ("import", datasets.load)):
        data_set = add(name, command, collection=True)
        data_set.add_argument("uri", metavar="URI", help=FOLDER_HELP)
        if name == "import":
            data_set.add_argument("--model", metavar="NAME", help="model that made the vectors, if they do not say")
    add("stats", search.stats, json_too=True)


def _programs(commands: Any) -> None:
    add = partial(_add, to=commands)
    psql = add("psql", services.psql)
    psql.add_argument("arguments", nargs="*", metavar="…", help="arguments for psql, such as -c 'SELECT 1' or -f FILE")
    serve = add("serve", serving.serve)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=number(1, 65535), default=8090, metavar="N", help="port to listen on (8090)")
    demo = add("demo", services.demo)
    demo.add_argument("--images", type=Path, metavar="FOLDER", help="your own images instead of drawn scenes")
    demo.add_argument("--model", metavar="SOURCE", help=f"another model: {MODEL_HELP}")


def _group(commands: Any, name: str, help: str) -> Any:
    """A command with subcommands."""
    return commands.add_parser(name, help=help, description=help).add_subparsers(metavar="ACTION", required=True)


def _model_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--revision", metavar="COMMIT", help="commit of a hub id")
    sub.add_argument("--dtype", choices=get_args(Dtype))
    _cls_token(sub)
    sub.add_argument("--device", help="cpu, cuda, or the rank of a GPU")


def _cls_token(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--use-cls-token",
        action=argparse.BooleanOptionalAction,
        help="vision transformers: the class token, else the mean of the patch tokens",
    )


def script() -> None:
    """The entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that is not UTF-8 gets escapes
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = logs.tell_uncaught
    sys.exit(main())


if __name__ == "__main__":
    script()
