"""Commands for the embedded services, the database and the demo."""

import argparse
import os
import signal

from image_retrieval.commands.printing import console
from image_retrieval.settings import Settings, load_settings


def control(options: argparse.Namespace, settings: Settings) -> None:
    """Start, stop or show the embedded PostgreSQL, S3 store and Airflow."""
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


def migrate(options: argparse.Namespace, settings: Settings) -> None:
    """Migrate the database's schema to the newest version."""
    from image_retrieval.store.migrate import migrate

    migrate(settings)


def take_over(options: argparse.Namespace, settings: Settings) -> None:
    """Assign another project's work folder, and its folder of API pictures, to this project."""
    from image_retrieval.objects import ObjectStore
    from image_retrieval.pipeline.owning import pictures_place, take_over, work_place
    from image_retrieval.store.connection import connect

    store = ObjectStore(settings)
    with connect(settings) as connection:
        for place in (work_place(settings), pictures_place(settings)):
            taken = take_over(connection, place, store)
            console.print(f"{place.uri}: {'taken over from another project' if taken else 'not of another project'}")


def psql(options: argparse.Namespace, settings: Settings) -> None:
    """Open a psql prompt on the database, or run psql with the given arguments, and return its exit status."""
    from image_retrieval.local.postgres import programs
    from image_retrieval.store.connection import connect, psql_environment

    with connect(settings):  # a one-line error if the database cannot be reached
        pass
    program = str(programs() / "psql")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and psql would inherit that
    os.execve(program, [program, *options.arguments], {**os.environ, **psql_environment(settings)})


def demo(options: argparse.Namespace, settings: Settings) -> int:
    """Fill a bucket, run the daily DAG through Airflow's scheduler, search in SQL, and stop the services."""
    from image_retrieval.local.demo import demo

    return demo(settings, options.images.expanduser() if options.images else None, options.model, console)
