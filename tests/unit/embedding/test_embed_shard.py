"""A shard's vectors are complete and in order however often the process that makes them ends early."""

import json
import math
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_weights import save_random_dinov2
from structlog.testing import capture_logs

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding import checkpoint, quickest
from image_retrieval.embedding import embed_shard as program
from image_retrieval.embedding.backends import load_engine
from image_retrieval.embedding.embed_shard import embed_shard
from image_retrieval.embedding.engine import Engine
from image_retrieval.embedding.reader import sample_of
from image_retrieval.errors import OutOfMemory, UserError
from image_retrieval.exit_codes import TERMINATED
from image_retrieval.models.towers import ImageTower
from image_retrieval.settings import Settings
from unit.embedding.packed import SIDE, pack

SETTINGS = Settings(database_url="")


class Network:
    """Vectors that tell the pixels they were made of; ends with an error at a given batch."""

    def __init__(self, fails_at=None, error=KeyboardInterrupt):
        self.seen, self._fails_at, self._error, self._batches = [], fails_at, error, 0

    def __call__(self, pixels):
        if self._batches == self._fails_at:
            raise self._error("no more")
        self._batches += 1
        values = pixels[:, 0, 0, 0].double()
        self.seen += values.int().tolist()
        return torch.stack([torch.cos(values), torch.sin(values)], dim=1).float()


def embed(folder, network, batch_size=3, **model):
    options = ModelOptions(name="m", source="nowhere", batch_size=batch_size, **model)
    tower = ImageTower(2, (SIDE, SIDE), torch.device("cpu"), network, "digest")
    engine = Engine(tower, batch_size)
    embed_shard(str(folder / "in.parquet"), str(folder / "out.parquet"), options, lambda: engine, SETTINGS)


def vectors(folder):
    table = pq.read_table(folder / "out.parquet")
    return table["id"].to_pylist(), np.array(table["embedding"].to_pylist())


@given(
    count=st.integers(1, 40),
    rejected=st.sets(st.integers(0, 39)),
    sizes=st.lists(st.integers(1, 17), min_size=1, max_size=4),
    ends=st.lists(st.integers(0, 5), max_size=3),
)
def test_it_goes_on_where_it_was_ended(tmp_path_factory, count, rejected, sizes, ends):
    folder = tmp_path_factory.mktemp("shard")
    ids = pack(folder / "in.parquet", count, rejected=rejected)
    seen = []
    for turn, end in enumerate([*ends, None]):
        network = Network(fails_at=end)
        try:
            embed(folder, network, batch_size=sizes[turn % len(sizes)])
        except KeyboardInterrupt:
            assert not (folder / "out.parquet").exists()
        seen += network.seen
        if (folder / "out.parquet").exists():
            break
    assert seen == [row % 251 for row in ids]  # none twice
    found, made = vectors(folder) if ids else (pq.read_table(folder / "out.parquet")["id"].to_pylist(), None)
    assert found == ids
    if ids:
        np.testing.assert_allclose(made, np.stack([np.cos(ids), np.sin(ids)], axis=1), atol=1e-6)
    assert not (folder / "out.parquet.parts").exists()


def test_the_row_groups_are_the_same_however_often_it_was_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "VECTORS_PER_GROUP", 4)
    monkeypatch.setattr(checkpoint, "VECTORS_PER_GROUP", 4)
    ids = pack(tmp_path / "in.parquet", 30)
    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path, Network(fails_at=3))
    embed(tmp_path, Network(), batch_size=5)
    found = pq.ParquetFile(tmp_path / "out.parquet")
    sizes = [found.metadata.row_group(group).num_rows for group in range(found.num_row_groups)]
    assert sizes == [4] * 7 + [2]
    assert vectors(tmp_path)[0] == ids


def test_the_setting_auto_makes_the_vectors_of_torch(tmp_path, random_model, monkeypatch):
    monkeypatch.setattr(quickest, "LEAST_IMAGES", 40)
    monkeypatch.setattr(quickest, "SHARE", math.inf)
    monkeypatch.setattr(quickest, "installed", lambda backend: backend == "torch")
    ids = pack(tmp_path / "in.parquet", 44, rejected=(0, 7), side=56)
    settings = Settings(home=tmp_path, database_url="")
    model = ModelOptions(name="m", source=str(random_model), batch_size=8)
    with capture_logs() as lines:
        given = (str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet"), model)
        embed_shard(*given, lambda: load_engine(model, settings, "cpu"), settings)
    (chosen,) = (line["images_per_second"] for line in lines if line["event"] == "backend chosen")
    assert [part.split()[:2] for part in chosen.split(", ")] == [["torch", "float32"], ["torch", "bfloat16"]]
    found_ids, found = vectors(tmp_path)
    pixels = torch.stack([torch.full((56, 56, 3), row % 251, dtype=torch.uint8) for row in ids])
    wanted = load_engine(model, settings, "cpu").tower.embed(pixels).numpy()
    assert found_ids == ids
    assert (found * wanted).sum(axis=1).min() >= 0.999


def test_a_sample_has_the_first_pictures_and_what_is_left(tmp_path):
    ids = pack(tmp_path / "in.parquet", 20, rejected=(1, 2, 9))
    sample = sample_of(pq.ParquetFile(tmp_path / "in.parquet"), 6)
    assert (sample.images, sample.width, sample.height) == (11, SIDE, SIDE)
    assert sample.read(12)[:, 0, 0, 0].tolist() == ids[:12]
    assert len(sample.read(100)) == len(ids)


def test_a_killed_process_repeats_at_most_a_row_group(tmp_path, random_model):
    """SIGKILL leaves no time to save: what was saved before is gone on from, and the file is as if nothing happened."""
    count, group = 400, 48
    pack(tmp_path / "in.parquet", count, side=56)
    program = (
        "import sys\n"
        "from image_retrieval.embedding import checkpoint, embed_shard\n"
        f"checkpoint.VECTORS_PER_GROUP = embed_shard.VECTORS_PER_GROUP = {group}\n"
        "checkpoint.SECONDS = 1e9\n"
        "from image_retrieval.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    environment = {**os.environ, "IMAGE_RETRIEVAL_HOME": str(tmp_path), "IMAGE_RETRIEVAL_LOG_FORMAT": "json"}

    def command(output):
        return [
            sys.executable,
            "-c",
            program,
            "embed",
            "in.parquet",
            output,
            f"--model={random_model}",
            "--batch-size=4",
        ]

    options = {"cwd": tmp_path, "env": environment, "stderr": subprocess.PIPE}
    saved = tmp_path / "out.parquet.parts"
    with subprocess.Popen(command("out.parquet"), **options) as process:
        while not len(list(saved.rglob("*.parquet"))) > 1:
            assert process.poll() is None
        process.kill()
        process.communicate()
    kept = sum(pq.read_metadata(path).num_rows for path in saved.rglob("[0-9]*.parquet"))
    assert kept >= 2 * group
    for output in ("out.parquet", "unbroken.parquet"):
        done = subprocess.run(command(output), **options, check=True)
        lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
        continued = [line["images"] for line in lines if line["event"] == "continued"]
        assert continued == ([kept] if output == "out.parquet" else [])
    broken, unbroken = (pq.ParquetFile(tmp_path / name) for name in ("out.parquet", "unbroken.parquet"))
    assert broken.read().equals(unbroken.read())
    sizes = [[file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] for file in (broken, unbroken)]
    assert sizes[0] == sizes[1]


def test_parts_of_another_model_are_not_used(tmp_path):
    ids = pack(tmp_path / "in.parquet", 9)
    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path, Network(fails_at=2))
    network = Network()
    embed(tmp_path, network, revision="another")
    assert network.seen == ids


def test_where_not_even_one_image_fits_nothing_is_lost(tmp_path):
    ids = pack(tmp_path / "in.parquet", 9)
    with pytest.raises(OutOfMemory, match="a single image"):
        embed(tmp_path, Network(fails_at=3, error=MemoryError), batch_size=1)
    network = Network()
    embed(tmp_path, network, batch_size=2)
    assert network.seen == ids[3:]


def test_a_packed_shard_that_is_not_there_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        embed(tmp_path, Network())


def test_sigterm_ends_it_with_what_is_done_saved(tmp_path):
    count = 3000
    pack(tmp_path / "in.parquet", count, side=56)
    save_random_dinov2(tmp_path / "model")
    command = [sys.executable, "-m", "image_retrieval.cli", "embed", "in.parquet", "out.parquet", "--model=model"]
    environment = {**os.environ, "IMAGE_RETRIEVAL_HOME": str(tmp_path), "IMAGE_RETRIEVAL_LOG_FORMAT": "json"}
    with subprocess.Popen(
        [*command, "--batch-size=1"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        lines = iter(process.stderr.readline, b"")
        assert any(b"first batch" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == TERMINATED
    assert not (tmp_path / "out.parquet").exists()
    saved = sum(pq.read_metadata(path).num_rows for path in (tmp_path / "out.parquet.parts").rglob("*.parquet"))
    assert 0 < saved < count
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == list(range(count))
