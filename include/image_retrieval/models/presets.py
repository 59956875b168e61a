"""Well-known checkpoints that the towers load, by their hub ids."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """A checkpoint: the length of its vectors, the languages of its texts (none: images only), its licence, its use."""

    source: str
    dimensions: int
    languages: str
    licence: str
    use: str


PICTURES = "pictures like a picture"
DINOV3 = "DINOv3 License; access on request"
PRESETS = (
    Preset("google/vit-base-patch16-224-in21k", 768, "", "Apache-2.0", "pictures of the same kind of thing"),
    Preset("google/vit-large-patch16-224-in21k", 1024, "", "Apache-2.0", "the same, larger and slower"),
    Preset("facebook/dinov2-small", 384, "", "Apache-2.0", f"{PICTURES}, on a CPU"),
    Preset("facebook/dinov2-base", 768, "", "Apache-2.0", PICTURES),
    Preset("facebook/dinov2-large", 1024, "", "Apache-2.0", f"{PICTURES}, on a GPU"),
    Preset("facebook/dinov2-with-registers-base", 768, "", "Apache-2.0", f"{PICTURES}; cleaner patch tokens"),
    Preset("facebook/dinov3-vits16-pretrain-lvd1689m", 384, "", DINOV3, f"{PICTURES}, on a CPU"),
    Preset("facebook/dinov3-vitb16-pretrain-lvd1689m", 768, "", DINOV3, PICTURES),
    Preset("openai/clip-vit-base-patch32", 512, "English", "MIT", "words, on a CPU"),
    Preset("openai/clip-vit-large-patch14", 768, "English", "MIT", "words, on a GPU"),
    Preset("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 512, "English", "MIT", "words, on a CPU; open data"),
    Preset("OFA-Sys/chinese-clip-vit-base-patch16", 512, "Chinese", "see its card", "words in Chinese"),
    Preset("OFA-Sys/chinese-clip-vit-large-patch14", 768, "Chinese", "see its card", "the same, on a GPU"),
    Preset("OFA-Sys/chinese-clip-vit-huge-patch14", 1024, "Chinese", "see its card", "the same, best and slowest"),
    Preset("google/siglip2-base-patch16-224", 768, "many, English and Chinese too", "Apache-2.0", "words"),
    Preset("google/siglip2-so400m-patch14-384", 1152, "many, English and Chinese too", "Apache-2.0", "words, on a GPU"),
)
