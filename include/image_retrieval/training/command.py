"""The command line of the trainings of models that ship."""

import argparse
from pathlib import Path

import torch


def read_command(description: str | None) -> tuple[Path, int]:
    """FOLDER, made where it is missing, and --seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the model is saved")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the same sums on every machine
    return arguments.folder, arguments.seed
