"""The demo: fill a bucket, run the daily DAG, search in SQL, stop what was started."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from image_retrieval.collection import Collection, find_collection
from image_retrieval.local import airflow, services
from image_retrieval.local.filling import add_once, ensure_models, folder_pictures, mirror, scene_pictures
from image_retrieval.local.showing import show_run, show_searches, watch_run
from image_retrieval.pipeline.switching import switch_collection, wanted_model
from image_retrieval.settings import Settings, load_settings


def demo(settings: Settings, images: Path | None, model: str | None, console: Console) -> int:
    """Run the demo on drawn scenes or on a folder of one's own images. Returns the exit status.

    `model` is the source of another model, to which the collection is switched after its run.
    """
    collection = find_collection(settings.collections_path, "photos" if images else "demo")
    pictures = folder_pictures(images, collection) if images else scene_pictures()
    folder = settings.local_path
    started: list[str] = []
    try:
        started += services.up(folder, console.print)
        settings = load_settings()  # the services have written their addresses
        other = add_once(model, settings) if model else None  # a mistake in it is told before anything runs
        airflow_runs = services.is_up(folder, "airflow")
        if not airflow_runs:
            console.print("starting airflow …")
            started.append("airflow")
            pid, _ = airflow.launch(settings)
        fill(collection, pictures, settings, console)
        if not airflow_runs:
            airflow.wait_until_ready(settings, pid)
        state = run_dag(collection, settings, console)
        show_run(collection, settings, console)
        if state == "success" and other:
            switch(collection, *other, settings, console)
        if state == "success":
            show_searches(collection, settings, console)
        return 0 if state == "success" else 1
    finally:
        services.down(folder, console.print, tuple(name for name in ("airflow", "s3", "postgres") if name in started))


def fill(collection: Collection, pictures: Any, settings: Settings, console: Console) -> None:
    """Write the pictures and the demo's models to the places that the collection names."""
    began = time.monotonic()
    for source in ensure_models(collection, settings):
        console.print(f"filled {source} with its model")
    written, removed = mirror(pictures, collection.source, settings)
    seconds = time.monotonic() - began
    console.print(f"filled {collection.source}: {written} written, {removed} removed, {seconds:.1f} s")


def run_dag(collection: Collection, settings: Settings, console: Console) -> str:
    """Run the collection's DAG through Airflow's scheduler, and show its progress. Returns the run's state."""
    dag_id = collection.dag_id
    with airflow.answering(settings), airflow.connect(settings) as client:
        airflow.wait_for_dag(client, dag_id)
        was_paused = airflow.is_paused(client, dag_id)
        run_id = airflow.trigger(client, dag_id)
        airflow.pause(client, dag_id, False)
        console.print(f"triggered {dag_id}, run {run_id}")
        state = watch_run(client, dag_id, run_id, console)
        airflow.pause(client, dag_id, was_paused)
        if state != "success":
            _show_failures(client, dag_id, run_id, console)
    return state


def switch(collection: Collection, name: str, source: str, settings: Settings, console: Console) -> None:
    """Embed the collection under another model, and show that one's vectors."""
    began = time.monotonic()
    model = wanted_model(collection, name, settings, source=source)
    run_id = f"demo-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    figures = switch_collection(collection, model, run_id, settings, device=settings.device)
    seconds = time.monotonic() - began
    console.print(f"switched {collection.name} to {name} from {source}: {seconds:.1f} s")
    for what in ("overlap_at_10", "same_group_at_10"):
        if what in figures:
            console.print(f"  {what}: {figures[what]}")


def _show_failures(client: httpx.Client, dag_id: str, run_id: str, console: Console) -> None:
    for instance in airflow.task_instances(client, dag_id, run_id):
        if instance["state"] == "failed":
            lines = airflow.task_log(client, dag_id, run_id, instance)
            output = [line for line in lines if line.strip() and not line.startswith("::")]
            console.print(f"failed: {instance['task_id']} {instance['rendered_map_index'] or ''}")
            for line in output[-5:]:
                console.print(f"    {line}")
