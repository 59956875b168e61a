"""Runs whose models run in pods embed captions in shards, however often their tasks are killed or repeated."""

import psycopg
import pytest
import torch
from text_encoders import save_text_encoder

from image_retrieval.cli import main
from image_retrieval.embedding import texts as embedding
from image_retrieval.errors import UserError
from image_retrieval.exit_codes import MISTAKE, OUT_OF_MEMORY
from image_retrieval.models.calibration import TEXTS
from image_retrieval.models.digest import digest_of
from image_retrieval.models.probes import read_probes
from image_retrieval.models.towers import TextTower, load_text_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline import caption_vector_runs
from image_retrieval.pipeline.caption_vectors import embed_captions
from image_retrieval.pipeline.finishing import finish_run
from image_retrieval.shards import Shard, caption_vectors_run, probes_uri
from image_retrieval.store import caption_vectors as store
from image_retrieval.store.connection import connect
from integration.random_vectors import fill
from integration.tables import rows

WORDS = ["two", "red", "blue", "circles", "ring", "star", "one", "a", *"两个红色的圆环"]
CAPTIONS = [None, "two red circles", "a red ring", "两个红色的圆", "one blue star", " "]
IMAGES, SPOKEN = 60, 40
STORED = "SELECT id, etag, embedding::text FROM retrieval.vector_things_texts ORDER BY id"
FITS = "SELECT direction, vectors, slope, middle FROM retrieval.calibration ORDER BY direction"
SHOWN = "SELECT text_model FROM retrieval.collection"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_text_encoder(tmp_path_factory.mktemp("encoder"), WORDS)


@pytest.fixture
def entry(project, collection, change_collection, encoder):
    """A collection with captions, in shards of 15, and a run."""
    fill(project, collection, IMAGES, lambda number: {"caption": CAPTIONS[number % len(CAPTIONS)]})
    entry = change_collection(text_model={"name": "texts", "source": str(encoder), "batch_size": 4}, shard_size=15)
    with connect(project) as connection:
        connection.execute(
            "INSERT INTO retrieval.run (collection, run_id, state, model, listed, new, changed, restored, gone, "
            "shards, left_over, list_seconds) VALUES ('things', 'run', 'running', 'random', 0, 0, 0, 0, 0, 0, 0, 0)"
        )
    return entry


@pytest.fixture
def on_a_cluster(project):
    return project.model_copy(update={"runner": "kubernetes"})


def files_of(shard, settings):
    found = Shard("things", caption_vectors_run("run"), shard).files(settings.work_uri)
    return found.manifest, found.embeddings


def embed(encoder, shards, settings):
    """What a pod runs."""
    uris = [uri for shard in shards for uri in files_of(shard, settings)]
    return main(["embed-texts", *uris, f"--model={encoder}", "--batch-size=4", "--device=cpu"])


def test_a_run_embeds_captions_in_shards_as_the_command_does_it_here(
    entry, project, database_url, encoder, on_a_cluster
):
    embed_captions(entry, project)
    expected, fitted = rows(database_url, STORED), rows(database_url, FITS)
    assert [(direction, vectors) for direction, vectors, *_ in fitted] == [(each, SPOKEN) for each in TEXTS]
    objects, probes = ObjectStore(project), probes_uri(project.work_uri, "things", "texts")
    objects.delete([probes])
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM retrieval.vector_things_texts; DELETE FROM retrieval.calibration")
        connection.execute("UPDATE retrieval.collection SET text_model = NULL")
    assert caption_vector_runs.plan_caption_vectors(entry, "run", on_a_cluster) == 3
    assert caption_vector_runs.plan_caption_vectors(entry, "run", on_a_cluster, shard_size=1) == 3  # keeps its plan
    assert embed(encoder, range(3), project) == 0
    for shard in (0, 1, 2, 2):
        caption_vector_runs.write_shard_vectors(entry, "run", shard, on_a_cluster)
    assert rows(database_url, STORED) == expected
    assert rows(database_url, SHOWN) == [(None,)]
    assert caption_vector_runs.finish_caption_vectors(entry, "run", on_a_cluster) == "texts"
    assert rows(database_url, SHOWN) == [("texts",)]
    assert rows(database_url, FITS) == fitted
    assert read_probes(objects, probes).digest == digest_of(encoder)
    finish_run(entry, "run", on_a_cluster)
    assert caption_vector_runs.plan_caption_vectors(entry, "unknown", on_a_cluster) == 0
    assert caption_vector_runs.finish_caption_vectors(entry, "unknown", on_a_cluster) is None


def test_captions_that_change_while_their_vectors_are_made_get_none(entry, database_url, encoder, on_a_cluster):
    caption_vector_runs.plan_caption_vectors(entry, "run", on_a_cluster)
    embed(encoder, range(3), on_a_cluster)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.image SET caption = 'a star' WHERE caption = 'a red ring'")
    for shard in range(3):
        caption_vector_runs.write_shard_vectors(entry, "run", shard, on_a_cluster)
    assert len(rows(database_url, STORED)) == SPOKEN - IMAGES // len(CAPTIONS)


def test_what_cannot_be_planned_or_written_is_told(entry, project, encoder, on_a_cluster):
    with connect(project) as filling:
        assert store.try_lock(filling, "things")
        with pytest.raises(UserError, match="are being embedded by another process"):
            caption_vector_runs.plan_caption_vectors(entry, "run", on_a_cluster)
    with pytest.raises(UserError, match="has planned no vectors of captions"):
        caption_vector_runs.write_shard_vectors(entry, "run", 0, on_a_cluster)
    caption_vector_runs.plan_caption_vectors(entry, "run", on_a_cluster)
    with pytest.raises(UserError, match="00000"):
        caption_vector_runs.write_shard_vectors(entry, "run", 0, on_a_cluster)
    other = entry.model_copy(update={"text_model": entry.text_model.model_copy(update={"name": "others"})})
    with pytest.raises(UserError, match="text_model 'texts' was replaced meanwhile"):
        caption_vector_runs.write_shard_vectors(other, "run", 0, on_a_cluster)


def test_other_files_of_the_model_are_refused_by_the_pod(entry, on_a_cluster, tmp_path, capsys):
    caption_vector_runs.plan_caption_vectors(entry, "run", on_a_cluster)
    assert embed(save_text_encoder(tmp_path / "other", WORDS, seed=1), [0], on_a_cluster) == MISTAKE
    assert "have changed" in capsys.readouterr().err.splitlines()[-1]


def test_a_killed_pod_is_continued_by_another(entry, project, encoder, on_a_cluster, monkeypatch):
    caption_vector_runs.plan_caption_vectors(entry, "run", on_a_cluster)
    assert embed(encoder, [0, 1], project) == 0
    uris, done = files_of(2, project), []
    whole = embedding.embed_texts

    def embed_here(*given):
        tower = load_text_tower(encoder, dtype="float32", device="cpu")
        model = entry.text_model.model_copy(update={"source": str(encoder)})
        whole(*uris, model, lambda: tower, project, progress=lambda count: given[0](count))

    def broken_off(count):
        done.append(count)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_here(broken_off)
    told = []
    embed_here(told.append)
    assert (told[0] >= 8, sum(told)) == (True, 10)
    assert embed_here(told.append) is None  # is there already
    caption_vector_runs.write_shard_vectors(entry, "run", 2, on_a_cluster)


@pytest.mark.parametrize("most", [4, 3, 1, 0])
def test_batches_are_halved_where_memory_is_short(entry, encoder, on_a_cluster, monkeypatch, capsys, most):
    made = TextTower.embed_passages

    def embed_few(tower, texts):
        if len(texts) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return made(tower, texts)

    caption_vector_runs.plan_caption_vectors(entry, "run", on_a_cluster)
    monkeypatch.setattr(TextTower, "embed_passages", embed_few)
    if not most:
        assert embed(encoder, [0], on_a_cluster) == OUT_OF_MEMORY
        assert "out of memory with a single caption" in capsys.readouterr().err.splitlines()[-1]
    else:
        assert embed(encoder, [0], on_a_cluster) == 0
