"""From a put into a bucket until it can be searched: `python -m benchmarks.hints [--collection demo] [--images N]`.

Needs a running project (`make demo`, then `make up`) whose collection has `watch`, and an unpaused DAG. It puts one
drawn scene after the other into the collection's source, at random moments, and asks the view until it is there.
"""

import argparse
import random
import statistics
import time

import psycopg
from psycopg import sql

from benchmarks.needs import reported, run
from image_retrieval.collection import find_collection
from image_retrieval.objects import ObjectStore
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import load_settings
from image_retrieval.store.connection_string import connection_string

MOST_SECONDS = 600.0


def seconds_until_shown(connection: psycopg.Connection, view: str, uri: str) -> float:
    """How long until the view has an image. Raises TimeoutError."""
    query = sql.SQL("SELECT FROM images.{} WHERE image_path = %s").format(sql.Identifier(view))
    started = time.monotonic()
    while not connection.execute(query, [uri]).fetchall():
        if time.monotonic() - started > MOST_SECONDS:
            raise TimeoutError(f"{uri} is not in images.{view} after {MOST_SECONDS:.0f} s")
        time.sleep(0.2)
    return time.monotonic() - started


def main() -> None:
    """Measure, print a line for each image, then one JSON line; the images are deleted again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", default="demo")
    parser.add_argument("--images", type=int, default=20)
    options = parser.parse_args()
    settings = load_settings()
    collection = find_collection(settings.collections_path, options.collection)
    store, moments = ObjectStore(settings), random.Random(0)
    taken: list[float] = []
    uris: list[str] = []
    try:
        with (
            reported(collection=collection.name) as result,
            psycopg.connect(connection_string(settings), autocommit=True) as connection,
        ):
            for scene in draw_scenes(options.images, seed=4711):
                uris.append(f"{collection.source}hints/{scene.key}")
                time.sleep(moments.uniform(0, 10))
                store.write(uris[-1], scene.data)
                taken.append(seconds_until_shown(connection, collection.name, uris[-1]))
                print(f"{len(taken):4}  {taken[-1]:6.1f} s", flush=True)
            ordered = sorted(taken)
            result["images"] = len(taken)
            result["median_seconds"] = round(statistics.median(taken), 1)
            result["p95_seconds"] = round(ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))], 1)
    finally:
        store.delete(uris)


if __name__ == "__main__":
    run(main)
