"""Each loss against a formula written as loops, without torch; queues, targets and what is left free."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from image_retrieval.models.pooled_backbone import ImageFeatures as Pooled
from image_retrieval.models.vision_transformer import ImageFeatures
from image_retrieval.training.drop_path import add_drop_path, dropped
from image_retrieval.training.low_rank import LowRank, add_low_rank, merge_low_rank
from image_retrieval.training.objectives.base import LONG, Queue, Sizes, follow, queue_length, rising
from image_retrieval.training.objectives.diet import Diet, index_loss
from image_retrieval.training.objectives.moby import MoBY
from image_retrieval.training.objectives.moco import MoCo2, MoCo3, batch_loss, queue_loss
from image_retrieval.training.objectives.swav import SwAV, last_norm, sinkhorn, swapped_loss
from unit.training.tiny import model

SIZES = Sizes(width=32, side=32, images=64, batch=8, classes=60)


def vectors(count: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def of_length_1(values: np.ndarray) -> np.ndarray:
    return np.array([row / math.sqrt(sum(value * value for value in row)) for row in values], np.float32)


def dot(one: np.ndarray, other: np.ndarray) -> float:
    return sum(float(a) * float(b) for a, b in zip(one, other, strict=True))


def surprise(logits: list[float], own: int) -> float:
    """-log of the softmax' probability."""
    return math.log(sum(math.exp(logit - logits[own]) for logit in logits))


@given(st.integers(0, 999), st.integers(1, 6), st.integers(1, 9))
def test_mocos_queue_loss(seed, count, others):
    q, k, queue = (of_length_1(vectors(n, 5, seed + at)) for at, n in enumerate((count, count, others)))
    expected = 0.0
    for at in range(count):
        logits = [dot(q[at], k[at]) / 0.2] + [dot(q[at], other) / 0.2 for other in queue]
        expected += surprise(logits, 0) / count
    found = queue_loss(torch.from_numpy(q), torch.from_numpy(k), torch.from_numpy(queue), 0.2)
    assert found.item() == pytest.approx(expected, abs=1e-4)


@given(st.integers(0, 999), st.integers(1, 6))
def test_moco_3s_batch_loss(seed, count):
    q, k = vectors(count, 5, seed), vectors(count, 5, seed + 1)
    ones, others = of_length_1(q), of_length_1(k)
    expected = 0.0
    for at in range(count):
        expected += 2 * 0.2 * surprise([dot(ones[at], other) / 0.2 for other in others], at) / count
    found = batch_loss(torch.from_numpy(q), torch.from_numpy(k), 0.2)
    assert found.item() == pytest.approx(expected, abs=1e-4)


@given(st.integers(0, 999), st.integers(1, 5), st.integers(2, 8))
def test_diets_index_loss(seed, count, classes):
    logits = vectors(count, classes, seed)
    own = np.random.default_rng(seed).integers(0, classes, count)
    expected = 0.0
    for row, right in zip(logits.tolist(), own, strict=True):
        for at in range(classes):
            wanted = 0.3 / classes + (0.7 if at == right else 0.0)
            expected += wanted * surprise(row, at) / count
    found = index_loss(torch.from_numpy(logits), torch.from_numpy(own), 0.3)
    assert found.item() == pytest.approx(expected, abs=1e-4)


@given(st.integers(0, 999), st.integers(1, 6), st.integers(2, 5))
def test_swavs_assignments(seed, count, prototypes):
    scores = np.clip(vectors(count, prototypes, seed) / 3, -1, 1)
    shares = [[math.exp(float(score) / 0.05 - 20) for score in row] for row in scores]
    for _ in range(3):
        for column in range(prototypes):
            total = sum(row[column] for row in shares)
            for row in shares:
                row[column] /= total * prototypes
        for row in shares:
            total = sum(row)
            row[:] = [share / total / count for share in row]
    found = sinkhorn(torch.from_numpy(scores), 0.05, 3).numpy()
    assert found == pytest.approx(np.array(shares) * count, abs=1e-4)
    assert found.sum(axis=1) == pytest.approx(np.ones(count), abs=1e-4)


@given(st.integers(0, 999), st.integers(1, 4), st.integers(2, 4))
def test_swavs_swapped_loss(seed, count, views):
    scores = [vectors(count, 3, seed + at) for at in range(views)]
    assigned = [np.exp(vectors(count, 3, seed + 9 + at)) for at in range(2)]
    expected = []
    for at, wanted in enumerate(assigned):
        for other, found in enumerate(scores):
            if other != at:
                per_row = [
                    sum(float(wanted[n, k]) * surprise((found[n] / 0.1).tolist(), k) for k in range(3))
                    for n in range(count)
                ]
                expected.append(sum(per_row) / count)
    loss = swapped_loss([torch.from_numpy(one) for one in scores], [torch.from_numpy(one) for one in assigned], 0.1)
    assert loss.item() == pytest.approx(sum(expected) / len(expected), rel=1e-4)


def test_a_queue_keeps_the_latest():
    queue = Queue(4, 2)
    for number in range(3):
        queue.add(torch.full((2, 2), float(number)))
    assert queue.keys[:, 0].tolist() == [2, 2, 1, 1]
    assert queue.place.item() == 2


@pytest.mark.parametrize(("published", "images", "batch", "length"), [
    (65_536, 1_000_000, 256, 65_536), (65_536, 6_000, 64, 2_944), (4_096, 64, 64, 64),
])  # fmt: skip
def test_a_queue_is_no_longer_than_half_of_the_pictures(published, images, batch, length):
    assert queue_length(published, SIZES._replace(images=images, batch=batch)) == length


def test_a_target_follows():
    target, online = nn.Linear(2, 2), nn.Linear(2, 2)
    before = copy.deepcopy(target)
    follow(target, online, 0.9)
    assert torch.allclose(target.weight, 0.9 * before.weight + 0.1 * online.weight, atol=1e-6)
    assert [rising(0.99, share) for share in (0, 1)] == [pytest.approx(0.99), 1.0]
    assert rising(0.99, 0.5) == pytest.approx(0.995)


def stepped(objective, views) -> float:
    """One step down; returns the loss."""
    objective.train()
    optimizer = torch.optim.SGD([weight for weight in objective.parameters() if weight.requires_grad], lr=0.1)
    loss = objective(views, torch.arange(8), 0.0)
    loss.backward()
    objective.before_step(0.0)
    optimizer.step()
    objective.after_step(0.01)
    return loss.item()


def views_for(objective) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.randn(8, 3, how.side, how.side, generator=rng) for how in objective.views]


def made(name: str):
    torch.manual_seed(0)
    vit = ImageFeatures(model("vit"), use_cls_token=True)
    match name:
        case "moco2":
            return MoCo2(Pooled(model("resnet")), SIZES, 100)
        case "moco3":
            return MoCo3(vit, SIZES)
        case "moby":
            return MoBY(Pooled(model("swin")), SIZES)
        case "swav":
            return SwAV(Pooled(model("resnet")), SIZES, 10, steps=100)
        case _:
            return Diet(vit, SIZES)


@pytest.mark.parametrize("name", ["moco2", "moco3", "moby", "swav", "diet"])
def test_a_step_lowers_the_loss_of_the_same_views(name):
    objective = made(name)
    views = views_for(objective)
    losses = [stepped(objective, views) for _ in range(6)]
    assert all(map(math.isfinite, losses))
    if name not in ("moco2", "moby"):  # whose queues change what it is compared with
        assert losses[-1] < losses[0]
    assert not any(weight.requires_grad for weight in getattr(objective, "target", nn.Module()).parameters())


@pytest.mark.parametrize("name", ["moco2", "moco3", "moby"])
def test_a_target_gets_no_gradient_and_moves_by_its_momentum(name):
    objective = made(name)
    before = copy.deepcopy(objective.target.state_dict())
    stepped(objective, views_for(objective))
    after = objective.target.state_dict()
    moved = [key for key in before if before[key].is_floating_point() and not torch.equal(before[key], after[key])]
    assert moved
    online = dict(objective.encoder.named_parameters())
    for key, weight in online.items():
        assert after[f"0.{key}"].shape == weight.shape


def test_moco_2s_target_takes_statistics_from_the_online_side_alone():
    objective = made("moco2").train()
    statistics = {key: value.clone() for key, value in objective.target.named_buffers()}
    objective(views_for(objective), torch.arange(8), 0.0)
    assert all(torch.equal(value, statistics[key]) for key, value in objective.target.named_buffers())
    objective.after_step(0.1)
    assert any(not torch.equal(value, statistics[key]) for key, value in objective.target.named_buffers())


def test_swav_takes_what_features_share_out_of_a_transformer_and_its_loss_is_blind_to_it():
    torch.manual_seed(0)
    encoder = ImageFeatures(model("vit"), use_cls_token=True)
    swav = SwAV(encoder, SIZES, 10, steps=100)
    views = views_for(swav)
    bias = encoder.get_submodule(swav.last_norm).bias
    with torch.no_grad():
        bias += 5
    first = swav(views, torch.arange(8), 0.0)
    mean = encoder(views[0]).mean(dim=0)
    assert mean.mean() > 4
    with torch.no_grad():
        bias -= mean
    swav.queue.keys.zero_(), swav.other_queue.keys.zero_()
    assert swav(views, torch.arange(8), 0.0).item() == pytest.approx(first.item(), abs=1e-3)
    with torch.no_grad():
        bias += mean
    for _ in range(60):
        swav(views, torch.arange(8), 0.0)
        swav.after_step(0.1)
    assert encoder(views[0]).mean(dim=0).abs().max() < 0.1


@pytest.mark.parametrize(("steps", "share", "moved"), [(100, 0.99, False), (LONG, 0.05, False), (LONG, 0.2, True)])
def test_swavs_prototypes_rest_at_first_and_in_a_short_training_to_its_end(steps, share, moved):
    torch.manual_seed(0)
    swav = SwAV(Pooled(model("resnet")), SIZES, 10, steps)
    before = swav.prototypes.weight.clone()
    swav(views_for(swav), torch.arange(8), share).backward()
    swav.before_step(share)
    torch.optim.SGD(swav.parameters(), lr=0.1).step()
    assert torch.equal(swav.prototypes.weight, before) is not moved


def test_swav_leaves_features_that_end_in_no_layer_norm_as_they_are():
    swav = made("swav")
    assert swav.last_norm is None
    biases = [norm.bias.clone() for norm in swav.encoder.modules() if isinstance(norm, nn.BatchNorm2d)]
    swav(views_for(swav), torch.arange(8), 0.0)
    swav.after_step(0.1)
    left = [norm.bias for norm in swav.encoder.modules() if isinstance(norm, nn.BatchNorm2d)]
    assert all(torch.equal(one, other) for one, other in zip(biases, left, strict=True))
    projected = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 32), nn.LayerNorm(32), nn.Linear(32, 32))
    assert last_norm(projected, 32) is None
    assert last_norm(Pooled(model("swin")), 32) == "model.layernorm"


def test_moco_3_leaves_patches_and_places_as_they_are():
    objective = made("moco3")
    embeddings = objective.encoder.model.embeddings
    before = copy.deepcopy(embeddings.state_dict())
    stepped(objective, views_for(objective))
    changed = {name for name, weight in embeddings.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {"cls_token"}


def test_going_on_frees_the_last_block_and_low_ranks_of_attention():
    encoder = made("diet").encoder
    free = {name.split(".low")[0] for name, weight in encoder.named_parameters() if weight.requires_grad}
    assert all(".layers.2." in name or name.startswith("model.layernorm.") or ".up." in name or ".down." in name
               for name in free)  # fmt: skip
    assert sum(".down." in name for name in free) == 2 * 4  # queries, keys, values, output of two blocks
    assert any(".layers.2." in name for name in free)


def test_classes_begin_as_the_pictures_own_vectors():
    objective = made("diet").eval()
    view = views_for(objective)[0]
    with torch.no_grad():
        features = nn.functional.normalize(objective.encoder(view), dim=1)
        before = objective([view], torch.arange(8), 0.0)
        objective.begin(torch.cat([2 * features, torch.randn(52, 32)]))
        after = objective([view], torch.arange(8), 0.0)
    assert torch.allclose(objective.head.weight[:8], features, atol=1e-5)
    assert after < before


def test_low_ranks_change_nothing_at_first_and_merge_to_the_same():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    given = torch.randn(7, 6)
    before = plain(given)
    assert add_low_rank(plain, 2) == 2
    assert torch.equal(plain(given), before)
    for part in plain.modules():
        if isinstance(part, LowRank):
            nn.init.normal_(part.up.weight)
    changed = plain(given)
    assert not torch.allclose(changed, before)
    merge_low_rank(plain)
    assert [type(part) for part in plain] == [nn.Linear, nn.ReLU, nn.Linear]
    assert torch.allclose(plain(given), changed, atol=1e-5)


def test_dropped_blocks_keep_the_mean():
    torch.manual_seed(0)
    before, after = torch.zeros(4_000, 1, 1), torch.ones(4_000, 1, 1)
    found = dropped(before, after, 0.2)
    assert set(found.flatten().tolist()) == {0.0, 1.25}
    assert found.mean().item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("kind", ["vit", "swin"])
def test_blocks_drop_out_in_training_alone(kind):
    network = model(kind)
    add_drop_path(network, 0.9)
    pixels = torch.randn(16, 3, 32, 32)
    network.eval()
    assert torch.equal(network(pixels).last_hidden_state, network(pixels).last_hidden_state)
    network.train()
    assert not torch.equal(network(pixels).last_hidden_state, network(pixels).last_hidden_state)
