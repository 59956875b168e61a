"""Runs trainings one after the other: `torchrun … each_way.py PACK FOLDER METHOD=START…`; into FOLDER/METHOD-TYPE."""

import sys
from pathlib import Path

import torch

from image_retrieval.settings import load_settings
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.ranks import joined
from image_retrieval.training.running import run_training

EPOCHS, BATCH = 17, 32  # of 96 pictures: 51 steps


def run_each(pack: str, folder: Path, ways: list[str]) -> None:
    torch.set_num_threads(1)
    with joined("cpu"):
        for way in ways:
            method, _, start = way.partition("=")
            options = TrainingOptions(pack, method, start, epochs=EPOCHS, batch_size=BATCH, readers=1)
            run_training(options, folder / f"{method}-{Path(start).name}", load_settings(), "cpu")


if __name__ == "__main__":
    run_each(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
