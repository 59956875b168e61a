"""What the card of a trained model says, and that the gate's report is in it once."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from image_retrieval.models.card import read_card
from image_retrieval.training.backbones import Backbone
from image_retrieval.training.model_card import Made, model_card, with_gate
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.sampled import Sampled


def card(start: str, folder: Path | None, **more) -> str:
    numbers = np.arange(80)
    pack = Sampled("s3://b/pack/", "0123456789abcdef", (), numbers, numbers, numbers, numbers, numbers, numbers[:9])
    backbone = Backbone(torch.nn.Identity(), "pooled_backbone", "resnet", 2048, 224, (), (), folder)
    change = {"start": 0.5, "end": 0.25}
    figures = {"steps": 1200, "loss_first": 4.0, "loss_last": 0.51234, "spread": change, "effective_rank": change}
    options = TrainingOptions("s3://b/pack/", "moco", start, **more)
    return model_card(Made("s3://b/models/acme_v2/", options, 0.001, backbone, pack, figures, "0.5 at cosine 0.700"))


def test_a_card_tells_what_a_model_was_made_of_and_how(tmp_path):
    found = card("random", None, backbone="resnet50")
    for words in (
        "# acme_v2\n",
        "224 × 224 pixels into vectors of 2048 numbers",
        "on 80 pictures, without labels",
        "| Training set | `s3://b/pack/`, sha256 `0123456789abcdef…`; 9 more pictures held out |",
        "| Start | random weights of `resnet50` |",
        "batch 64, rate for 256 pictures 0.001",
        "| Loss, first and last | 4 → 0.5123 |",
        "--source s3://b/models/acme_v2/\n",
    ):
        assert words in found
    (tmp_path / "README.md").write_text(found)
    assert read_card(tmp_path).licence == ""


@pytest.mark.parametrize(
    ("start", "folder", "base"),
    [
        ("facebook/dinov2-small", Path("/cache/snapshots/abc"), "facebook/dinov2-small"),
        ("models/own", Path("/project/models/own"), None),
        ("s3://bucket/own/", Path("/cache/abc"), None),
    ],
)
def test_a_card_names_the_base_model_of_a_hub(start, folder, base):
    head = card(start, folder).split("---\n")[1]
    assert yaml.safe_load(head).get("base_model") == base


def test_a_later_report_replaces_the_former_one():
    first = with_gate(card("random", None), "# Refused\n\nWorse.\n")
    second = with_gate(first, "# Passed\n\nBetter.\n")
    assert first.endswith("## The gate\n\nDecision: Refused\n\nWorse.\n")
    assert second == with_gate(card("random", None), "# Passed\n\nBetter.\n")
