import pytest
import torch

from image_retrieval.training.dual_model import PATCH, WIDTH, make_dual_encoder
from image_retrieval.training.local_init import ACROSS, BESIDE
from image_retrieval.training.samples import SIDE

GRID = SIDE // PATCH


@pytest.mark.parametrize("layer", [0, 1])
def test_each_head_begins_with_one_neighbour_of_each_patch(layer):
    torch.manual_seed(0)
    model = make_dual_encoder(50).vision_model
    places = model.embeddings.position_embedding.weight[1:]
    attention = model.encoder.layers[layer].self_attn
    queries, keys = (linear(places).view(GRID * GRID, 4, WIDTH // 4) for linear in (attention.q_proj, attention.k_proj))
    nearest = torch.einsum("qhd,khd->hqk", queries, keys).argmax(dim=-1).view(4, GRID, GRID)
    at = torch.arange(GRID * GRID).view(GRID, GRID)
    for head, (right, down) in enumerate((BESIDE, ACROSS)[layer]):
        inside = slice(1, GRID - 1)
        wanted = at[1 + down : GRID - 1 + down, 1 + right : GRID - 1 + right]
        assert (nearest[head, inside, inside] == wanted).all()
