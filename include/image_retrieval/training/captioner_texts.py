"""What the captioner says of a scene: all of it, always in the same order and words."""

from image_retrieval.scenes.captions import BESIDE, CHINESE, CHINESE_BESIDE, CHINESE_NUMBERS, NUMBERS, PLURALS
from image_retrieval.scenes.layout import Group, Layout

LANGUAGES = ("en", "zh")


def tell(layout: Layout) -> dict[str, str]:
    """The caption in each of LANGUAGES: the main things, where their companion lies, and the ground."""
    english, chinese = _english(layout.main), _chinese(layout.main)
    if layout.companion is not None and layout.relation is not None:
        english = f"{english} {BESIDE[layout.relation][-1]} {_english(layout.companion)}"
        chinese = f"{chinese}在{_chinese(layout.companion)}的{CHINESE_BESIDE[layout.relation][0]}"
    ground = f"on a {layout.ground} background", f"{CHINESE[layout.ground]}背景"
    return {"en": f"{english} {ground[0]}", "zh": f"{chinese}，{ground[1]}"}


def _english(group: Group) -> str:
    count = len(group.things)
    name = group.shape if count == 1 else PLURALS[group.shape]
    return f"{NUMBERS[count][0]} {group.size} {group.texture} {group.hue} {name}"


def _chinese(group: Group) -> str:
    number, size = CHINESE_NUMBERS[len(group.things)][0], CHINESE[group.size]
    return f"{number}个{size}的{CHINESE[group.hue]}{CHINESE[group.texture]}{CHINESE[group.shape]}"
