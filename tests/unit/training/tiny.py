"""Models of each kind that is trained, so small that a step takes milliseconds."""

import torch
from transformers import PreTrainedModel, ResNetConfig, ResNetModel, SwinConfig, SwinModel, ViTConfig, ViTModel


def model(kind: str) -> PreTrainedModel:
    if kind == "vit":
        sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
        dropouts = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        vit = ViTModel(ViTConfig(**sizes, **dropouts, image_size=32, patch_size=8), add_pooling_layer=False)
        with torch.no_grad():
            vit.embeddings.patch_embeddings.projection.weight.normal_(0, 0.1)
        return vit
    if kind == "swin":
        return SwinModel(SwinConfig(embed_dim=16, depths=[1, 1], num_heads=[1, 2], image_size=32, window_size=4))
    return ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic"))
