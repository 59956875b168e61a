import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from image_retrieval.training.pairs.losses import contrastive_loss


def by_sums(logits, belongs):
    """UniCL's equations 3 to 5, term by term."""

    def one_way(rows, own):
        found = []
        for i in range(len(rows)):
            asked = [j for j in range(len(rows[i])) if own[i][j]]
            if asked:
                total = sum(np.exp(value) for value in rows[i])
                found.append(-sum(np.log(np.exp(rows[i][j]) / total) for j in asked) / len(asked))
        return np.mean(found)

    return (one_way(logits, belongs) + one_way(logits.T, belongs.T)) / 2


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 3))
def test_the_loss_is_that_of_the_paper(seed, pictures, more):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(pictures + more, pictures))
    belongs = rng.random(logits.shape) < 0.3
    belongs[np.arange(pictures), np.arange(pictures)] = True
    found = contrastive_loss(torch.from_numpy(logits), torch.from_numpy(belongs))
    assert abs(float(found) - by_sums(logits, belongs)) < 1e-9


def test_without_equal_texts_it_is_the_loss_of_clip():
    logits = torch.randn(7, 7, dtype=torch.float64)
    wanted = (cross_entropy(logits, torch.arange(7)) + cross_entropy(logits.T, torch.arange(7))) / 2
    assert torch.allclose(contrastive_loss(logits, torch.eye(7, dtype=torch.bool)), wanted)


def test_pictures_of_equal_texts_do_not_push_each_other_away():
    logits = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    belongs = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    contrastive_loss(logits, belongs).backward()
    assert logits.grad is not None
    assert float(logits.grad[0, 1]) < 0 < float(logits.grad[0, 2])
