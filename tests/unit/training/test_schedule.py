"""How fast a training learns, what decays, and how a transformer begins."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from image_retrieval.training.backbones import from_nothing
from image_retrieval.training.methods import objective_of
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.schedule import Recipe, optimizer_of, rate_at
from unit.training.tiny import model

RECIPES = st.builds(Recipe, st.floats(1e-5, 1e-2), st.just(0.1), st.floats(0, 0.5))


@given(RECIPES, st.integers(1, 500), st.sampled_from([32, 64, 256, 4096]))
def test_the_rate_rises_to_its_own_and_falls_to_nearly_nothing(recipe, steps, batch):
    rates = [rate_at(step, steps, recipe, batch) for step in range(steps)]
    top = rates.index(max(rates))
    assert 0 < max(rates) <= recipe.rate * batch / 256 * (1 + 1e-9)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    if steps > 50:
        assert rates[-1] < 0.1 * max(rates)


@pytest.mark.parametrize("kind", ["vit", "swin", "resnet"])
def test_matrices_alone_decay(kind):
    network = model(kind)
    names = {id(weight): name for name, weight in network.named_parameters()}
    decaying, others = (
        {names[id(weight)] for weight in group["params"]} for group in optimizer_of(network, 0.1).param_groups
    )
    assert decaying | others == set(names.values())
    plain = ("bias", "norm", "position", "cls_token")  # what has no direction of its own to shrink along
    assert all(any(part in name for part in plain) for name in others)
    assert not any("norm" in name or "position" in name for name in decaying)


def test_patches_and_places_count_about_as_much_where_a_transformer_begins():
    torch.manual_seed(0)
    found = from_nothing("vit_mini", 28).encoder.get_submodule("model.embeddings")
    pictures = torch.randn(8, 3, 28, 28)
    patches = conv2d(pictures, found.patch_embeddings.projection.weight, stride=4)
    assert 0.5 < patches.std() / found.position_embeddings[0, 1:].std() < 2


@pytest.mark.parametrize(
    ("method", "backbone", "steps", "rate"),
    [
        ("moco", "vit_mini", 9_999, 2e-3),
        ("moco", "vit_mini", 10_000, 1.5e-4),
        ("moby", "vit_mini", 100, 2e-3),
        ("moco", "resnet18", 100, 1e-3),
    ],
)
def test_a_short_training_of_a_transformer_from_nothing_learns_faster(method, backbone, steps, rate):
    options = TrainingOptions("pack/", method, "random", backbone=backbone, crop=28)
    _, recipe = objective_of(options, from_nothing(backbone, 28), 1_000, 1_000, steps)
    assert recipe.rate == rate
    assert recipe.warm_up >= 0.05
    _, going_on = objective_of(replace(options, start="model"), from_nothing(backbone, 28), 1_000, 1_000, steps)
    assert going_on.rate <= 1e-3


@pytest.mark.parametrize(("backbone", "rate", "decay"), [("vit_mini", 5e-4, 0.05), ("resnet18", 1e-3, 1e-6)])
def test_swav_learns_slower_with_a_transformer_than_with_a_resnet(backbone, rate, decay):
    options = TrainingOptions("pack/", "swav", "random", backbone=backbone, crop=28)
    _, recipe = objective_of(options, from_nothing(backbone, 28), 1_000, 1_000, 100)
    assert (recipe.rate, recipe.decay) == (rate, decay)
