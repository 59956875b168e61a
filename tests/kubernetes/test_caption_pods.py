"""Images are captioned and their captions embedded in real pods, of which one of each kind is deleted."""

import os
import subprocess
import sys

import numpy as np
import pytest
from cluster import HANGS, NAMESPACE, History, wait
from conftest import IMAGES, LANGUAGES, SHARD_SIZE
from integration.tables import rows

KINDS = {"embed": None, "caption": "captioning input=", "embed-texts": "embedding input="}
WRITTEN = """
SELECT i.image_id, c.language, c.text
FROM retrieval.image AS i JOIN retrieval.caption AS c ON c.image = i.id AND c.etag = i.etag
WHERE i.collection = %s
"""
VECTORS = """
SELECT i.image_id, v.embedding::text
FROM retrieval.image AS i JOIN retrieval.vector_{0}_texts AS v ON v.id = i.id
WHERE i.collection = '{0}'
"""
FOUND = """
SELECT image_id FROM images.search_captions(
    'captioned', (SELECT embedding FROM retrieval.vector_captioned_texts ORDER BY id LIMIT 1), 5)
"""


@pytest.fixture(scope="module")
def captioned(house, cluster):
    """A run of the collection `captioned`: the pods of each kind by shard, and the shards whose pods were deleted."""
    deleted = {}
    with History(cluster) as history:
        run = house.trigger("captioned")
        for kind, word in KINDS.items():
            if word:
                pod = cluster.at_work("captioned", word, kind)
                cluster.api.delete_namespaced_pod(pod.metadata.name, NAMESPACE)
                deleted[kind] = pod.metadata.labels["image-retrieval/shard"]
        assert house.finished("captioned", run) == "success", house.logs("captioned", run)[-6000:]
    return {kind: history.pods_of("captioned", kind) for kind in KINDS}, deleted


@pytest.fixture(scope="module")
def here(house):
    """The collection `captioned_here` has the same images; processes of this machine do everything."""
    command = [sys.executable, "-m", "image_retrieval.cli", "run", "captioned_here"]
    local = os.environ | {"IMAGE_RETRIEVAL_RUNNER": "local"}
    done = subprocess.run(command, env=local, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_deleted_pods_are_replaced_and_none_is_left(captioned, cluster):
    pods, deleted = captioned
    once = {str(shard): 1 for shard in range(IMAGES // SHARD_SIZE)}
    assert pods["embed"] == once
    for kind, shard in deleted.items():
        assert pods[kind] == pods[kind] | {shard: 2}
        assert sum(pods[kind].values()) == len(pods[kind]) + 1
    wait(lambda: not cluster.pods(collection="captioned"), "the pods to go", HANGS)


@pytest.mark.slow
def test_pods_and_processes_write_the_same_captions(house, captioned, here):
    in_pods, by_processes = (
        {(image, language): text for image, language, text in rows(house.database_url, WRITTEN, name)}
        for name in ("captioned", "captioned_here")
    )
    assert len(in_pods) == IMAGES * len(LANGUAGES)
    assert in_pods == by_processes


@pytest.mark.slow
def test_pods_and_processes_make_the_same_vectors_of_captions(house, captioned, here):
    in_pods, by_processes = (
        {image: np.array(text.strip("[]").split(","), float) for image, text in rows(house.database_url, query)}
        for query in (VECTORS.format("captioned"), VECTORS.format("captioned_here"))
    )
    assert len(in_pods) == IMAGES
    assert in_pods.keys() == by_processes.keys()
    for image, vector in in_pods.items():
        np.testing.assert_allclose(vector, by_processes[image], atol=1e-3)  # stored in 16 bits
    assert len(rows(house.database_url, FOUND)) == 5
