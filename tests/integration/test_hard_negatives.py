"""Hard negatives are those that a collection's vectors find at ranks 10 to 100, of other groups, in the pack."""

import json

import numpy as np
import pytest

from image_retrieval.errors import UserError
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.pipeline import candidates
from image_retrieval.pipeline.hard_negatives import hard_negatives
from image_retrieval.pipeline.packing import PackOptions, pack
from image_retrieval.pipeline.running import run_collection
from image_retrieval.store.connection import connect
from image_retrieval.training.packs import read_index
from image_retrieval.training.pairs.paired import read_paired, with_negatives
from integration.pictures import put, spots
from integration.tables import rows

IMAGES, GROUPS = 120, 7
OPTIONS = PackOptions(longest_side=64, held_out_share=0.2, most=100)


@pytest.fixture
def folder(project, collection, store, tmp_path):
    """The pack of a collection of pictures in groups, with a text for each, of which some are equal."""
    put(store, collection.source, {f"g{at % GROUPS}/{at}.jpg": data for at, data in enumerate(spots(IMAGES).values())})
    run_collection(collection, "one", project)
    with connect(project) as connection:
        connection.execute("UPDATE retrieval.image SET caption = 'spots of kind ' || id % 60")
    folder = f"file://{tmp_path}/pack/"

    def read():
        return candidates.shuffled(candidates.of_collection(collection, folder, project), OPTIONS.seed, OPTIONS.most)

    pack("things", folder, OPTIONS, read, project)
    return folder


def group(name):
    return name.partition("/")[0]


def test_ranks_groups_verdicts_and_the_pack_decide(folder, project, database_url, store):
    found = rows(database_url, 'SELECT image_id, embedding::text FROM images.things ORDER BY image_id COLLATE "C"')
    names = [name for name, _ in found]
    vectors = np.array([json.loads(text) for _, text in found], np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = np.argsort(-(vectors @ vectors.T), axis=1, kind="stable")
    packed = set(read_index(store, folder, ("image_id",))["image_id"].to_pylist())
    negatives = hard_negatives(folder, "things", project)
    assert negatives.keys() == packed
    for at, name in enumerate(names):
        if name in packed:
            ranked = [names[other] for other in near[at] if other != at][9:100]
            assert negatives[name] == [each for each in ranked if group(each) != group(name) and each in packed]
    image = names[0] if names[0] in packed else names[1]
    with connect(project) as connection:
        connection.execute("SELECT images.set_verdict('things', %s, %s, 'duplicate')", [image, negatives[image][0]])
        connection.execute("SELECT images.set_verdict('things', %s, %s, 'different')", [image, negatives[image][1]])
    assert hard_negatives(folder, "things", project)[image] == negatives[image][1:]

    paired = with_negatives(read_paired(store, folder), negatives)
    learnt, texts = set(paired.learnt.tolist()), paired.texts.of_pictures
    for at, others in enumerate(paired.near):
        assert set(others.tolist()) <= learnt - {at}
        assert not any(set(texts[at].tolist()) & set(texts[other].tolist()) for other in others)

    with connect(project) as connection:
        connection.execute("UPDATE retrieval.image SET image_id = 'moved/' || image_id")
    with pytest.raises(UserError, match="has no two pictures that collection 'things' finds alike"):
        hard_negatives(folder, "things", project)


@pytest.mark.slow
def test_a_dual_encoder_learns_from_them(folder, command, tmp_path):
    given = ["--negatives", "things", "--epochs", "1", "--batch-size", "32"]
    done = command("training", "pairs", folder, str(tmp_path / "out"), "--start", str(DUAL), *given)
    assert done.returncode in (0, 1), done.stderr
    assert json.loads(done.stdout)["learnt"] >= 64
    for start, name, told in (
        (DUAL, "others", "unknown collection 'others'"),
        (VISION, "things", "--negatives is for dual encoders"),
    ):
        refused = command(
            "training", "pairs", folder, str(tmp_path / "new"), "--start", str(start), "--negatives", name
        )
        assert refused.returncode == 2
        assert told in refused.stderr
