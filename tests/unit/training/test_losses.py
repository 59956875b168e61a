import pytest
import torch

from image_retrieval.training.losses import pairs_loss, views_loss

NONE = torch.zeros(3, 3, dtype=torch.bool)


def test_pairs_that_fit_cost_nothing_and_others_much():
    assert pairs_loss(50 * torch.eye(3), NONE) < 1e-6
    assert pairs_loss(50 * torch.eye(3).roll(1, 0), NONE) > 40


def test_what_holds_of_another_scene_as_well_costs_nothing():
    logits = 50 * torch.eye(3)
    logits[0, 1] = 50
    also = NONE.clone()
    also[0, 1] = True
    assert pairs_loss(logits, NONE) > 0.2
    assert pairs_loss(logits, also) < 1e-6


def test_a_caption_of_nothing_costs_where_it_is_near():
    logits = torch.cat([50 * torch.eye(3), torch.zeros(1, 3)])
    none = torch.zeros(4, 3, dtype=torch.bool)
    far = pairs_loss(logits, none)
    logits[3, 0] = 50
    assert far < 1e-6
    assert pairs_loss(logits, none) > 0.1


def test_views_of_one_picture_are_to_be_alike():
    vectors = torch.nn.functional.normalize(torch.randn(8, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    alike, apart = views_loss(vectors, vectors, 0.1), views_loss(vectors, vectors.roll(1, 0), 0.1)
    assert alike < 0.2 < 5 < apart
    # by hand: all vectors the same, so that each of the other 15 is as near
    same = vectors[:1].expand(8, -1)
    assert views_loss(same, same, 0.1).item() == pytest.approx(torch.log(torch.tensor(15.0)).item(), abs=1e-5)
