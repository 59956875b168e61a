"""The form of the DAG `model_training`."""

from typing import Any

from airflow.sdk import Param

from image_retrieval.training.options import (
    BACKBONES,
    BATCH_SIZE,
    CHECKPOINT_EVERY,
    EPOCHS,
    METHODS,
    PRECISIONS,
    READERS,
)
from image_retrieval.training.pairs import options as pairs
from orchestration.configuration import declared_collections

MOST = 1_000_000


def training_params() -> dict[str, Param]:
    """The form of the DAG."""
    names = [collection.name for collection in declared_collections()]
    return {
        "source": Param(
            names[0],
            type="string",
            examples=names,
            title="Learn from",
            description="A collection, or the URI of an index file. Methods `pairs` and `text` learn from captions, or "
            "from a .tsv or .jsonl of pictures and texts.",
        ),
        "model": Param(type="string", pattern="^[a-z][a-z0-9_]{0,23}$", title="Model", description="Its new name."),
        "method": Param(
            "continue",
            type="string",
            enum=[*METHODS, *pairs.PAIR_METHODS],
            title="Method",
            description="With texts: `pairs` changes a dual encoder, `text` teaches a model of pictures to read.",
        ),
        "start": _text("Start", "A model to go on from, or `random`; empty: the one that the collection shows."),
        "revision": _text("Revision", "Commit of a hub id."),
        "backbone": Param(
            None, type=["null", "string"], enum=[None, *BACKBONES], title="Backbone", description="Of a random start."
        ),
        "against": _text("Judge against", "A model; empty: the one that the collection shows, else the start."),
        "switch": Param(
            None,
            type=["null", "string"],
            enum=[None, *names],
            title="Then switch",
            description="Collection that is switched to the model if it passes and a person approves.",
        ),
        **_course(),
        **_means(),
        **_of_texts(),
        "seed": _number(0, 0, 2**31 - 1, "Seed"),
    }


def _course() -> dict[str, Param]:
    """How long it learns from how many pictures, and how fast."""
    batch = f"Pictures a step, of all GPUs together. Empty: {BATCH_SIZE}; with texts {pairs.BATCH_SIZE}."
    return {
        "images": _number(None, 2, 10**9, "Images", "Take so many; empty: all."),
        "held_out": Param(
            0.1, type="number", exclusiveMinimum=0, maximum=0.5, title="Held out", description="Share to judge by."
        ),
        "epochs": _number(None, 1, MOST, "Epochs", f"Empty: {EPOCHS}; {_own(pairs.PAIR_EPOCHS)}."),
        "batch_size": _number(None, 2, MOST, "Batch", batch),
        "rate": Param(
            None,
            type=["null", "number"],
            exclusiveMinimum=0,
            title="Rate",
            description="Learning rate for batches of 256; empty: the method's own.",
        ),
        "crop": _number(None, 16, 1024, "Crop", "Side of the views; empty: the start's."),
        "checkpoint_every": _number(
            None, 1, MOST, "Checkpoint every", f"Epochs. Empty: {CHECKPOINT_EVERY}; {_own(pairs.PAIR_CHECKPOINTS)}."
        ),
    }


def _means() -> dict[str, Param]:
    """What it runs on, and how much memory it takes."""
    return {
        "readers": _number(READERS, 1, 256, "Readers", "Threads that read and decode."),
        "precision": Param("float32", type="string", enum=list(PRECISIONS), title="Precision"),
        "machines": _number(1, 1, 64, "Machines", "A pod on each. More than one only where pods embed."),
        "gpus": _number(1, 1, 64, "GPUs", "On each machine. Each has a process."),
        "accumulate": _number(1, 1, 1024, "Accumulate", "Parts of a batch that go through the model one by one."),
        "gradient_checkpointing": Param(
            False, type="boolean", title="Save memory", description="Compute activations twice."
        ),
    }


def _of_texts() -> dict[str, Param]:
    """What only method `pairs` takes."""
    keep = "Method `pairs`: other pairs (a file, or a training set with captions) of which at most a point may be lost."
    alone = "Method `pairs`: leave the side of pictures as it is."
    return {
        "general": _text("Keep", keep),
        "text_only": Param(False, type="boolean", title="Texts alone", description=alone),
    }


def _own(numbers: dict[pairs.PairMethod, int]) -> str:
    """The numbers of the methods for texts, in words."""
    return ", ".join(f"{number} with method {method}" for method, number in numbers.items())


def _text(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], title=title, description=description)


def _number(default: int | None, least: int, most: int, title: str, description: str | None = None) -> Param:
    kind: Any = "integer" if default is not None else ["null", "integer"]
    return Param(default, type=kind, minimum=least, maximum=most, title=title, description=description)
