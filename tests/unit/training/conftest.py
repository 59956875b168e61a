"""A pack of small drawn pictures, and tiny models to begin from."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from packs import write_pictures

from image_retrieval.training.photolike import draw_clouds
from unit.training.tiny import model

PICTURES, HELD_OUT = 104, 8


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> str:
    """96 pictures to learn from, of several sizes; the first two look alike."""
    rng = np.random.default_rng(0)
    clouds = draw_clouds(PICTURES, 0)
    pictures = [clouds[at][: rng.integers(34, 48), : rng.integers(34, 48)] for at in range(PICTURES)]
    clusters = [max(0, at - 1) for at in range(PICTURES)]
    return write_pictures(tmp_path_factory.mktemp("packs") / "pack", pictures, HELD_OUT, clusters)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model of a type, for pictures of 32 × 32."""
    folder = tmp_path_factory.mktemp("tiny")

    def made(kind: str) -> Path:
        if not (folder / kind).is_dir():
            torch.manual_seed(0)
            model(kind).save_pretrained(folder / kind)
            sizes = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.2] * 3}
            (folder / kind / "preprocessor_config.json").write_text(json.dumps(sizes))
        return folder / kind

    return made


@pytest.fixture(autouse=True)
def one_thread():
    """The same sums on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
