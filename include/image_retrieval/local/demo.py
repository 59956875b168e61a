"""The demo: fill a bucket, run the daily DAG, search in SQL, stop what was started."""

import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from image_retrieval.collection import Collection, find_collection
from image_retrieval.local import airflow, services
from image_retrieval.local.filling import ensure_model, folder_pictures, mirror, scene_pictures
from image_retrieval.local.showing import show_run, show_searches, watch_run
from image_retrieval.settings import Settings, load_settings


def demo(settings: Settings, images: Path | None, console: Console) -> int:
    """Run the demo on drawn scenes, or on a folder of images. Returns the exit status."""
    collection = find_collection(settings.collections_path, "photos" if images else "demo")
    pictures = folder_pictures(images, collection) if images else scene_pictures()
    folder = settings.local_path
    started: list[str] = []
    try:
        started += services.up(folder, console.print)
        settings = load_settings()  # the services have written their addresses
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
        if state == "success":
            show_searches(collection, settings, console)
        return 0 if state == "success" else 1
    finally:
        services.down(folder, console.print, tuple(name for name in ("airflow", "s3", "postgres") if name in started))


def fill(collection: Collection, pictures: Any, settings: Settings, console: Console) -> None:
    """Write the pictures and the demo's model to the places that the collection names."""
    began = time.monotonic()
    if ensure_model(collection.model.source, settings):
        console.print(f"filled {collection.model.source} with the model that ships")
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


def _show_failures(client: httpx.Client, dag_id: str, run_id: str, console: Console) -> None:
    for instance in airflow.task_instances(client, dag_id, run_id):
        if instance["state"] == "failed":
            lines = airflow.task_log(client, dag_id, run_id, instance)
            output = [line for line in lines if line.strip() and not line.startswith("::")]
            console.print(f"failed: {instance['task_id']} {instance['rendered_map_index'] or ''}")
            for line in output[-5:]:
                console.print(f"    {line}")
