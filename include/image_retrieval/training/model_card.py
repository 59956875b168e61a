"""The card of a trained model, its README.md: what it was made of and how, its figures, and how to use it."""

from dataclasses import dataclass
from typing import Any

from image_retrieval import __version__
from image_retrieval.models.hub import is_hub_id
from image_retrieval.training.backbones import Backbone
from image_retrieval.training.methods import BACKBONE
from image_retrieval.training.options import RANDOM, TrainingOptions
from image_retrieval.training.sampled import Sampled

CARD = "README.md"
GATE = "\n## The gate\n"  # what follows is of the last one that was run


@dataclass(frozen=True, slots=True)
class Made:
    """What a card tells: where the model is, what it was made by and of, its figures, and its scores in words."""

    out: str
    options: TrainingOptions
    rate: float
    backbone: Backbone
    pack: Sampled
    figures: dict[str, Any]
    scores: str


def model_card(made: Made) -> str:
    """The card in Markdown, behind the facts that model hubs read."""
    backbone, pack = made.backbone, made.pack
    name = [part for part in made.out.split("/") if part][-1]
    rows = "\n".join(f"| {title} | {value} |" for title, value in _facts(made))
    base = f"base_model: {made.options.start}\n" if _is_of_a_hub(made) else ""
    return f"""---
library_name: transformers
pipeline_tag: image-feature-extraction
{base}---
# {name}

Turns pictures of {backbone.side} × {backbone.side} pixels into vectors of {backbone.width} numbers, for search by
pictures. image-retrieval {__version__} trained it on {len(pack.learnt):,} pictures, without labels.

| | |
|---|---|
{rows}

## Use

```sh
image-retrieval models switch COLLECTION NAME --source {made.out}
image-retrieval match A.jpg B.jpg --collection COLLECTION
```

The first command switches a collection to this model, under a NAME of your choice. The second compares two pictures.
"""


def _is_of_a_hub(made: Made) -> bool:
    """Whether the start is a hub id, and not a folder whose name could be one."""
    start = made.options.start
    return is_hub_id(start) and not str(made.backbone.folder).endswith(start)


def with_gate(card: str, report: str) -> str:
    """A card with the gate's report in Markdown, whose title is the decision; it replaces a former one."""
    return f"{card.partition(GATE)[0]}{GATE}\n{report.replace('# ', 'Decision: ', 1)}"


def _facts(made: Made) -> list[tuple[str, str]]:
    options, pack, figures = made.options, made.pack, made.figures
    start = f"`{options.start}`" + (f", revision `{options.revision}`" if options.revision else "")
    if options.start == RANDOM:
        start = f"random weights of `{options.backbone or BACKBONE[options.method]}`"
    settings = {
        "epochs": options.epochs,
        "batch": options.batch_size,
        "rate for 256 pictures": f"{made.rate:g}",
        "precision": options.precision,
        "seed": options.seed,
    }
    loss = figures["loss_first"], figures["loss_last"]
    spread, rank = ((figures[name]["start"], figures[name]["end"]) for name in ("spread", "effective_rank"))
    return [
        ("Training set", f"`{pack.uri}`, sha256 `{pack.digest[:16]}…`; {len(pack.held_out):,} more pictures held out"),
        ("Method", f"`{options.method}`"),
        ("Start", start),
        ("Settings", ", ".join(f"{title} {value}" for title, value in settings.items())),
        ("Steps", f"{figures['steps']:,}"),
        ("Loss, first and last", " → ".join(f"{value:.4g}" for value in loss)),
        ("Spread of the vectors", " → ".join(f"{value:.3f}" for value in spread)),
        ("Effective rank", " → ".join(f"{value:.1f}" for value in rank)),
        ("Score", made.scores),
    ]
