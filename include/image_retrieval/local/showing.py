"""The demo's output: the run's progress and counts, and three searches in SQL."""

import time
from collections import Counter

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from image_retrieval.collection import Collection
from image_retrieval.local import airflow
from image_retrieval.settings import Settings
from image_retrieval.store.collections import collection_stats
from image_retrieval.store.connection import connect
from image_retrieval.store.examples import example_searches
from image_retrieval.store.runs import STAGES

TASKS = ("list_images", "shard.resample", "shard.embed", "shard.upsert", "index", "captions.caption", "report")
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")


def watch_run(client: httpx.Client, dag_id: str, run_id: str, console: Console) -> str:
    """Show each task's progress until the run ends. Returns the run's state."""
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown: Counter[str] = Counter()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars = {name: progress.add_task(name, total=None) for name in TASKS}
        while True:
            state = airflow.run_state(client, dag_id, run_id)
            total: Counter[str] = Counter()
            done: Counter[str] = Counter()
            skipped: Counter[str] = Counter()
            for instance in airflow.task_instances(client, dag_id, run_id):
                total[instance["task_id"]] += 1
                done[instance["task_id"]] += instance["state"] in ENDED
                skipped[instance["task_id"]] += instance["state"] == "skipped"
            for name, bar in bars.items():
                progress.update(bar, total=total[name] or None, completed=done[name])
                if done[name] > shown[name] and not console.is_terminal:
                    note = " skipped" if skipped[name] else ""
                    console.print(f"  {name} {done[name]}/{total[name]}{note}")
            shown = done
            if state in ("success", "failed"):
                return state
            time.sleep(0.5)


def show_run(collection: Collection, settings: Settings, console: Console) -> None:
    """Print the counts and times of the collection's last run."""
    with connect(settings) as connection:
        stats = collection_stats(connection).get(collection.name)
        run = stats["last_run"] if stats else None
        if stats is None or run is None:
            return
        counts = ("listed", "new", "changed", "gone", "resampled", "embedded", "upserted", "rejected", "left_over")
        console.print()
        _print_table(console, counts, [tuple(str(dict(run)[name]) for name in counts)])
        _print_table(
            console,
            tuple(f"{stage} s" for stage in STAGES),
            [tuple(f"{run['seconds'][stage]:.2f}" for stage in STAGES)],
        )
        told = "" if run["captions"] is None else f", {run['captions']} captions written"
        console.print(f"images.{collection.name}: {stats['images']} images, {stats['rejected']} rejected{told}")


def show_searches(collection: Collection, settings: Settings, console: Console) -> None:
    """Print three SQL searches and their answers."""
    with connect(settings) as connection:
        examples = example_searches(connection, collection.name)
    for example in examples:
        console.print(f"\n{example.query}", style="bold")
        _print_table(console, example.columns, [tuple(map(str, row)) for row in example.rows])


def _print_table(console: Console, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(*columns, box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    console.print(table)
