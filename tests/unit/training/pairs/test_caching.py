import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from image_retrieval.training.pairs.caching import cached_backward
from image_retrieval.training.pairs.losses import contrastive_loss

CPU = torch.device("cpu")


@pytest.mark.parametrize("part", [1, 5, 24])
def test_the_gradients_are_those_of_the_whole_batch(part):
    torch.manual_seed(0)
    towers = nn.ModuleList(nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 8)) for _ in range(2))
    scale = nn.Parameter(torch.tensor(2.0))
    given = torch.randn(2, 24, 6)
    belongs = torch.eye(24, dtype=torch.bool) | (torch.rand(24, 24) < 0.1)

    def loss_of(texts: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(scale.exp() * normalize(texts) @ normalize(pictures).T, belongs)

    plain = loss_of(towers[0](given[0]), towers[1](given[1]))
    weights = [*towers.parameters(), scale]
    wanted = torch.autograd.grad(plain, weights)
    sides = [
        [lambda rows=rows, tower=tower: tower(rows) for rows in own.split(part)]
        for own, tower in zip(given, towers, strict=True)
    ]
    assert abs(cached_backward(sides, loss_of, device=CPU) - plain.item()) < 1e-6
    for weight, gradient in zip(weights, wanted, strict=True):
        assert weight.grad is not None
        assert float((weight.grad - gradient).abs().max()) < 1e-5


def test_what_drops_out_is_the_same_both_times():
    torch.manual_seed(0)
    layer, dropped = nn.Linear(4, 4), []

    def encode() -> torch.Tensor:
        found = nn.functional.dropout(layer(torch.ones(3, 4)), 0.5)
        dropped.append((found == 0).tolist())
        return found

    cached_backward([[encode, encode]], lambda vectors: vectors.square().sum(), device=CPU)
    assert dropped[:2] == dropped[2:]
    assert dropped[0] != dropped[1]
