"""How the time of an embedding pod divides: `python -m benchmarks.pods [--images N] [--repeats N] [--model SOURCE]`.

Starts pods as the DAG does, on the cluster of KUBECONFIG, with the settings of the environment; the object store must
be within reach of the pods. The moments of the program's lines are the kubelet's own; what Kubernetes writes into a
pod's status is known to the second.
"""

import argparse
import itertools
import json
import os
import statistics
import time
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from kubernetes.client import ApiException, CoreV1Api, V1Pod
from urllib3.exceptions import HTTPError

from benchmarks.needs import run, whole
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.local.filling import ensure_model
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings, load_settings
from image_retrieval.shards import resampled_schema, writing
from kubernetes import config
from orchestration.arguments import embed_arguments
from orchestration.pods import EmbeddingPodOperator

SIDE = 224
SECONDS = 600
PHASES = ("schedule", "start", "model_load", "first_batch", "steady", "finish")
WORDS = {"said": "embedding ", "loaded": "model loaded", "first": "first batch", "embedded": "embedded "}


def pack(settings: Settings, uri: str, images: int) -> None:
    """Write a packed shard of noise."""
    schema = resampled_schema(SIDE, SIDE)
    noise = np.random.default_rng(0).integers(0, 256, (64, SIDE * SIDE * 3), np.uint8)
    columns = {name: pa.nulls(images, schema.field(name).type) for name in schema.names}
    names = pa.array([str(row) for row in range(images)])
    columns |= {"id": pa.array(range(images), pa.int64()), "image_id": names, "uri": names, "etag": names}
    columns |= {"size": pa.array([1] * images, pa.int64())}
    columns |= {"last_modified": pa.array([0] * images, pa.timestamp("us", tz="UTC"))}
    columns |= {"pixels": pa.array([noise[row % 64].tobytes() for row in range(images)], schema.field("pixels").type)}
    with writing(ObjectStore(settings), uri, schema) as out:
        out.write_table(pa.table(columns, schema=schema), row_group_size=64)


def life_of_a_pod(api: CoreV1Api, collection: Collection, resampled: str, embeddings: str) -> dict[str, float]:
    """Seconds of each phase of one pod, and its images a second between the first batch and the last."""
    device = () if load_settings().pod_gpus else ("--device=cpu",)
    operator = EmbeddingPodOperator(
        collection=collection.name,
        shards=[0],
        arguments=[*embed_arguments(collection, [(resampled, embeddings)]), *device],
    )
    request = operator.build_pod_request_obj(dry_run=True)
    name, namespace = request.metadata.name, request.metadata.namespace
    created = datetime.now(UTC)
    api.create_namespaced_pod(namespace, request)
    try:
        pod, log = followed(api, name, namespace)
    finally:
        api.delete_namespaced_pod(name, namespace)
    if pod.status.phase != "Succeeded":
        raise SystemExit(f"pod {name} {pod.status.phase}: {log[-2000:]}")
    at = {key: next(moment(line) for line in log.splitlines() if words in line) for key, words in WORDS.items()}
    scheduled = next(found for found in pod.status.conditions if found.type == "PodScheduled").last_transition_time
    ended = pod.status.container_statuses[0].state.terminated.finished_at
    moments = [created, max(created, scheduled), at["said"], at["loaded"], at["first"], at["embedded"]]
    moments.append(max(ended, at["embedded"]))
    spans = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(moments)]
    phases = dict(zip(PHASES, spans, strict=True))
    return phases | {"first_line": (at["said"] - created).total_seconds()}


def followed(api: CoreV1Api, name: str, namespace: str) -> tuple[V1Pod, str]:
    """A pod that has ended, and its log."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pod = api.read_namespaced_pod(name, namespace)
        if pod.status.phase in ("Succeeded", "Failed"):
            log = api.read_namespaced_pod_log(name, namespace, timestamps=True, _preload_content=False)
            return pod, log.data.decode(errors="replace")
        time.sleep(0.5)
    raise SystemExit(f"pod {name} did not end within {SECONDS} seconds")


def moment(line: str) -> datetime:
    """When the kubelet got a line."""
    return datetime.fromisoformat(line.split(" ", 1)[0])


def cluster() -> CoreV1Api:
    """The cluster of KUBECONFIG, once it answers."""
    try:
        api = CoreV1Api(config.new_client_from_config())
        api.list_namespaced_pod(load_settings().pod_namespace, limit=1, _request_timeout=10)
    except (config.ConfigException, ApiException, HTTPError) as error:
        raise SystemExit(f"no cluster answers ({type(error).__name__}): point KUBECONFIG to one") from None
    return api


def main() -> None:
    """Print the phases of a pod, median of the repeats, as a table and as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=whole(1), default=512)
    parser.add_argument("--repeats", type=whole(1), default=3)
    parser.add_argument("--model", default="s3://image-retrieval/models/scenes_vision/")
    options = parser.parse_args()
    os.environ["IMAGE_RETRIEVAL_RUNNER"] = "kubernetes"
    settings = load_settings()
    api = cluster()
    ensure_model(options.model, settings)
    folder = f"{settings.work_uri.rstrip('/')}/benchmarks/pods-{int(time.time())}/"
    pack(settings, folder + "resampled.parquet", options.images)
    collection = Collection(name="benchmark", source="s3://none/", model=ModelOptions(name="b", source=options.model))
    try:
        lives = [
            life_of_a_pod(api, collection, folder + "resampled.parquet", f"{folder}{repeat}.parquet")
            for repeat in range(options.repeats)
        ]
    finally:
        ObjectStore(settings).delete_under(folder)
    found = {name: round(statistics.median(life[name] for life in lives), 3) for name in (*PHASES, "first_line")}
    for name in PHASES:
        print(f"{name:<12} {found[name]:>8.2f} s")
    steady = options.images - collection.model.batch_size
    rate = round(steady / found["steady"], 1) if steady > 0 and found["steady"] else None
    print(
        json.dumps(
            {
                "seconds": found,
                "images": options.images,
                "images_per_second": rate,
                "repeats": options.repeats,
                "model": options.model,
                "batch": collection.model.batch_size,
            }
        )
    )


if __name__ == "__main__":
    run(main)
