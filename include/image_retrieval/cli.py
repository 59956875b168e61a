"""image-retrieval: the stages, the searches and the embedded services from a terminal."""

import argparse
import json
import os
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import structlog
from rich.console import Console
from rich.table import Table

from image_retrieval import __version__, logs
from image_retrieval.collection import find_collection, load_collections
from image_retrieval.errors import ImageRejected, OutOfMemory, Reason, Unavailable, UserError
from image_retrieval.exits import MISTAKE, OUT_OF_MEMORY, OUTAGE, TERMINATED
from image_retrieval.settings import Settings, load_settings

Command = Callable[[argparse.Namespace, Settings], int | None]
MODEL_HELP = "a folder, a hub id, or s3://bucket/prefix/"
log = structlog.get_logger()
console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 1000)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 for a run that failed, 2 for what the user can mend.

    What starts pods tells more apart: see exits.py.
    """
    in_pods = False
    try:
        options = _parser().parse_args(arguments)
        in_pods = options.in_pods
        settings = load_settings()
        logs.configure(settings.log_format)
        status = options.command(options, settings)
        return int(status or 0)
    except (UserError, ImageRejected) as error:
        print(f"image-retrieval: {error}", file=sys.stderr)
        return _status(error) if in_pods else MISTAKE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _status(error: Exception) -> int:
    """What a pod's program says of an error by its exit status."""
    if isinstance(error, OutOfMemory):
        return OUT_OF_MEMORY
    return OUTAGE if isinstance(error, Unavailable) else MISTAKE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="image-retrieval", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Command, *, collection: bool = False, run: bool = False, json_too: bool = False) -> Any:
        sub = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        sub.set_defaults(command=command, in_pods=name in ("embed", "healthcheck"))
        if collection:
            sub.add_argument("collection", metavar="COLLECTION", help="an entry of include/collections.yaml")
        if run:
            sub.add_argument("--run", required=True, metavar="ID", help="the run that `list` planned")
            sub.add_argument("--shard", type=_natural, metavar="N", help="one shard of it; all, if left out")
        if json_too:
            sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    services = add("services", _services)
    services.add_argument("action", choices=("up", "down", "status"))
    services.add_argument("--airflow", action="store_true", help="Airflow and its UI, too")
    add("migrate", _migrate)

    collections = add("collections", _collections, json_too=True)
    collections.add_argument("action", choices=("list", "show"))
    collections.add_argument("name", nargs="?", metavar="COLLECTION")

    for name, command in (("list", _list), ("run", _run)):
        stage = add(name, command, collection=True)
        stage.add_argument("--run", default=None, metavar="ID", help="name of the run; a new one, if left out")
        stage.add_argument("--full", action="store_true", help="embed every image again")
        stage.add_argument("--requeue", action="store_true", help="try rejected images again, also final ones")
        stage.add_argument("--shard-size", type=_positive, metavar="N", help="images a shard")
        if name == "list":
            stage.add_argument("--dry-run", action="store_true", help="only tell what would be done")
        else:
            stage.add_argument("--device", help="cpu, cuda, or the rank of a GPU")
    add("resample", _resample, collection=True, run=True)
    add("upsert", _upsert, collection=True, run=True)
    embed = add("embed", _embed)
    embed.add_argument("resampled", metavar="RESAMPLED", help="URI or path of a packed shard")
    embed.add_argument("embeddings", metavar="EMBEDDINGS", help="URI or path to write the vectors to (Parquet)")
    embed.add_argument("more", nargs="*", metavar="…", help="the two files of each further shard; one model does all")
    embed.add_argument("--model", required=True, metavar="SOURCE", help=MODEL_HELP)
    embed.add_argument("--batch-size", type=_positive, metavar="N")
    _model_options(embed)
    healthcheck = add("healthcheck", _healthcheck)
    which = healthcheck.add_mutually_exclusive_group(required=True)
    which.add_argument("collection", nargs="?", metavar="COLLECTION", help="an entry of include/collections.yaml")
    which.add_argument("--model", metavar="SOURCE", help=MODEL_HELP)
    _model_options(healthcheck)

    search = add("search", _search, collection=True, json_too=True)
    query = search.add_mutually_exclusive_group(required=True)
    query.add_argument("--image", metavar="IMAGE", help="a picture: a file, an http(s):// or s3:// URL, - for stdin")
    query.add_argument("--id", metavar="ID", help="search with an image of the collection")
    search.add_argument("-k", type=_positive, default=10, metavar="N", help="how many results (10)")

    rejected = add("rejected", _rejected, collection=True, json_too=True)
    rejected.add_argument(
        "--reason", choices=[str(reason) for reason in Reason], metavar="REASON", help="only those with this reason"
    )
    rejected.add_argument("--uri", metavar="URI", help="only this object")
    rejected.add_argument(
        "--final",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="only those that are left alone, or only those that the next run tries again",
    )
    action = rejected.add_mutually_exclusive_group()
    action.add_argument("--limit", type=_positive, metavar="N", help="list the first N in order of URI")
    action.add_argument("--by-reason", action="store_true", help="count instead of listing")
    action.add_argument("--requeue", action="store_true", help="let the next run try them again, also final ones")
    add("stats", _stats, json_too=True)
    add("psql", _psql)
    demo = add("demo", _demo)
    demo.add_argument("--images", type=Path, metavar="FOLDER", help="your own images instead of drawn scenes")
    return parser


def _model_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--revision", metavar="COMMIT", help="of a hub id")
    sub.add_argument("--dtype", choices=("float32", "float16", "bfloat16"))
    sub.add_argument(
        "--use-cls-token",
        action=argparse.BooleanOptionalAction,
        help="vision transformers: the class token, else the mean of the patch tokens",
    )
    sub.add_argument("--device", help="cpu, cuda, or the rank of a GPU")


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line says of a model; what it leaves out is not there."""
    names = ("revision", "dtype", "batch_size", "use_cls_token")
    return {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return int(text)


def _services(options: argparse.Namespace, settings: Settings) -> None:
    """Start, stop or show the embedded PostgreSQL and S3 store (and Airflow)."""
    from image_retrieval.local import services

    if options.action == "up":
        services.up(settings.local_path, console.print)
        if options.airflow:
            from image_retrieval.local import airflow

            airflow.up(load_settings(), console.print)
            console.print(airflow.invitation(load_settings()))
    elif options.action == "down":
        services.down(settings.local_path, console.print)
    for name, state in services.status(settings.local_path).items():
        console.print(f"{name:<9} {state}")


def _migrate(options: argparse.Namespace, settings: Settings) -> None:
    """Bring the database's schema to the newest version."""
    from image_retrieval.store.schema import migrate

    migrate(settings)


def _collections(options: argparse.Namespace, settings: Settings) -> None:
    """List the collections, or show one with every default filled in."""
    if options.action == "show":
        if options.name is None:
            raise UserError("collections show needs the name of a collection")
        chosen = [find_collection(settings.collections_path, options.name)]
    else:
        chosen = list(load_collections(settings.collections_path).values())
    if options.json or options.action == "show":
        found = {entry.name: entry.model_dump(mode="json", exclude={"name"}) for entry in chosen}
        _print_json(found if options.action == "list" else found[options.name])
        return
    _print_table(
        ("collection", "source", "model", "schedule"),
        [(entry.name, entry.source, entry.model.name, entry.schedule or "by hand") for entry in chosen],
    )


def new_run_id() -> str:
    """A name that no other run has, in order of time."""
    return f"cli__{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}_{uuid.uuid4().hex[:6]}"


def _list(options: argparse.Namespace, settings: Settings) -> None:
    """Compare the bucket with the table and cut what is due into shards."""
    from dataclasses import asdict

    from image_retrieval.pipeline.listing import list_images

    collection = find_collection(settings.collections_path, options.collection)
    run_id = options.run or new_run_id()
    plan = list_images(
        collection,
        run_id,
        settings,
        full=options.full,
        requeue=options.requeue,
        shard_size=options.shard_size,
        dry_run=options.dry_run,
    )
    _print_json({"run": None if options.dry_run else run_id, **asdict(plan)})


def _shards(options: argparse.Namespace, settings: Settings) -> list[int]:
    if options.shard is not None:
        return [options.shard]
    from image_retrieval.store.connection import connect
    from image_retrieval.store.reports import read_run

    with connect(settings) as connection:
        run = read_run(connection, options.collection, options.run)
    if run is None:
        raise UserError(f"collection {options.collection!r} has no run {options.run!r}: `list` makes one")
    return list(range(run["shards"]))


def _resample(options: argparse.Namespace, settings: Settings) -> None:
    """Resample the images of a run's shards into packed pixels."""
    from image_retrieval.pipeline.resampling import resample_shard
    from image_retrieval.progress import stage_progress

    collection = find_collection(settings.collections_path, options.collection)
    with stage_progress(("resample",)) as show:
        for shard in _shards(options, settings):
            resample_shard(collection, options.run, shard, settings, progress=lambda done: show("resample", done))


def _embed(options: argparse.Namespace, settings: Settings) -> None:
    """Turn packed shards into vectors: the program of the embedding pods."""
    signal.signal(signal.SIGTERM, _end)  # process number 1 of a container has no handler of its own
    files = [options.resampled, options.embeddings, *options.more]
    if len(files) % 2:
        raise UserError(f"{files[-1]} has no file to write its vectors to: give the two files of each shard")
    pairs = list(zip(files[::2], files[1::2], strict=True))
    log.info(
        "embedding", input=options.resampled, shards=len(pairs), version=__version__
    )  # before the slow imports: it lives
    from image_retrieval.collection import ModelOptions
    from image_retrieval.embedding.backends import load_engine
    from image_retrieval.embedding.program import embed_shard
    from image_retrieval.progress import stage_progress

    model = ModelOptions(name="given", source=options.model, **_given(options))
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


def _end(*received: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def _healthcheck(options: argparse.Namespace, settings: Settings) -> None:
    """Load a model, embed a drawn picture, and look at its vector."""
    from image_retrieval.collection import ModelOptions
    from image_retrieval.embedding.health import check_model

    if options.collection is None:
        model, size = ModelOptions(name="given", source=options.model, **_given(options)), None
    else:
        collection = find_collection(settings.collections_path, options.collection)
        model, size = collection.model.model_copy(update=_given(options)), collection.resample.target_size
    _print_json(check_model(model, size, settings, options.device or settings.device))


def _upsert(options: argparse.Namespace, settings: Settings) -> None:
    """Load the vectors of a run's shards into the table."""
    from image_retrieval.pipeline.upserting import upsert_shard

    collection = find_collection(settings.collections_path, options.collection)
    for shard in _shards(options, settings):
        upsert_shard(collection, options.run, shard, settings)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    """Run all stages of a collection here, without Airflow."""
    from image_retrieval.pipeline.running import run_collection
    from image_retrieval.progress import stage_progress

    collection = find_collection(settings.collections_path, options.collection)
    with stage_progress(("resample", "embed")) as show:
        report = run_collection(
            collection,
            options.run or new_run_id(),
            settings,
            device=options.device or settings.device,
            full=options.full,
            requeue=options.requeue,
            shard_size=options.shard_size,
            planned=lambda plan: show.expect(plan.new + plan.changed - plan.left_over),
            progress=show,
        )
    _print_json(report)
    return 0 if report["state"] == "success" else 1


def _search(options: argparse.Namespace, settings: Settings) -> None:
    """Find the images of a collection that are most similar to a picture."""
    from image_retrieval.store.connection import connect
    from image_retrieval.store.search import search, similar_to

    collection = find_collection(settings.collections_path, options.collection)
    if options.id is not None:
        with connect(settings) as connection:
            results = similar_to(connection, collection.name, options.id, options.k)
    else:
        from image_retrieval.inputs import named_image
        from image_retrieval.pipeline.querying import embed_image
        from image_retrieval.store.schema import known_digest

        picture = named_image(options.image, settings)
        with connect(settings) as connection:
            digest = known_digest(connection, collection.model.name)
            vector = embed_image(picture, collection, settings, digest=digest)
            results = search(connection, collection.name, vector, options.k)
    if options.json:
        _print_json({"results": results})
        return
    rows = [(f"{row['similarity']:.4f}", row["image_id"], row["image_path"]) for row in results]
    _print_table(("similarity", "image_id", "image_path"), rows)


def _rejected(options: argparse.Namespace, settings: Settings) -> None:
    """List or count the images of a collection that could not be used, or queue them again."""
    from image_retrieval.store import ledger
    from image_retrieval.store.connection import connect

    collection = find_collection(settings.collections_path, options.collection)
    which = ledger.Rejected(collection.name, options.reason, options.uri, options.final)
    with connect(settings) as connection:
        if options.requeue:
            found: dict[str, Any] = {"requeued": ledger.requeue(connection, which)}
        elif options.by_reason:
            found = {"by_reason": ledger.count_by_reason(connection, which)}
        else:
            found = {"rejected": ledger.list_rejected(connection, which, options.limit)}
    if options.requeue and options.uri and not found["requeued"]:
        raise UserError(
            f"no rejected image of collection {collection.name!r} is {options.uri!r} and as asked for: "
            f"`image-retrieval rejected {collection.name}` lists them"
        )
    if options.json:
        _print_json(found)
    elif options.requeue:
        console.print(f"rejected images that the next run will try again: {found['requeued']}")
    elif options.by_reason:
        counts = [(row["reason"], str(row["final"]), str(row["not_final"])) for row in found["by_reason"]]
        _print_table(("reason", "final", "not final"), counts)
    else:
        table = [(row["reason"], _state(row), row["uri"], row["detail"]) for row in found["rejected"]]
        _print_table(("reason", "state", "uri", "detail"), table)


def _state(rejected: dict[str, Any]) -> str:
    if rejected["final"]:
        return "final"
    return f"try {rejected['attempts']}" if rejected["attempts"] else "queued"


def _stats(options: argparse.Namespace, settings: Settings) -> None:
    """Count the images, vectors and rejections of each collection."""
    from image_retrieval.store.connection import connect
    from image_retrieval.store.reports import collection_stats

    with connect(settings) as connection:
        stats = collection_stats(connection)
    if options.json:
        _print_json(stats)
        return
    columns = ("images", "deleted", "rejected", "vectors", "dimensions", "model")
    rows = [
        (name, *(str(row[column]) for column in columns), row["last_run"]["state"] if row["last_run"] else "none")
        for name, row in stats.items()
    ]
    _print_table(("collection", *columns, "last run"), rows)


def _psql(options: argparse.Namespace, settings: Settings) -> None:
    """Open a psql prompt on the database."""
    from image_retrieval.local.postgres import programs
    from image_retrieval.store.connection import connect, psql_environment

    with connect(settings):  # told in one line where it cannot be reached
        pass
    program = str(programs() / "psql")
    os.execve(program, [program], {**os.environ, **psql_environment(settings)})


def _demo(options: argparse.Namespace, settings: Settings) -> int:
    """Fill a bucket, run the daily DAG through Airflow's scheduler, search in SQL, stop what was started."""
    from image_retrieval.local.demo import demo

    return demo(settings, options.images.expanduser() if options.images else None, console)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def script() -> None:
    """The console script's entry."""
    sys.exit(main())


if __name__ == "__main__":
    script()
