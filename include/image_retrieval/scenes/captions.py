"""Captions of scenes in English and Chinese, of several lengths, and the claim of each."""

import random
from dataclasses import dataclass

from image_retrieval.scenes.layout import OPPOSITE, Group, Layout

PLURALS = {"circle": "circles", "square": "squares", "triangle": "triangles", "star": "stars"}
PLURALS |= {"ring": "rings", "cross": "crosses"}
NUMBERS = {1: ("a", "one"), 2: ("two", "2"), 3: ("three", "3"), 4: ("four", "4")}
BESIDE = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
PLAIN = {"plain": ("plain", "solid"), "striped": ("striped",), "dotted": ("dotted",)}
FACTS = ("hue", "texture", "size", "count")
SHORT: tuple[tuple[str, ...], ...] = (
    ("hue", "count"),
    ("hue", "count"),
    ("hue",),
    ("texture",),
    ("texture", "count"),
    (),
)
BEGINNINGS = ("", "", "", "a picture of ")

CHINESE = {
    **{"circle": "圆形", "square": "正方形", "triangle": "三角形", "star": "星形", "ring": "圆环", "cross": "十字形"},
    **{"red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色", "purple": "紫色", "orange": "橙色"},
    **{"plain": "实心", "striped": "条纹", "dotted": "波点", "small": "小", "large": "大"},
    **{"white": "白色", "grey": "灰色", "beige": "米色", "pink": "粉色", "pale blue": "浅蓝色", "pale green": "浅绿色"},
}
CHINESE_NUMBERS = {1: ("一", "1"), 2: ("两", "2"), 3: ("三", "3"), 4: ("四", "4")}
CHINESE_BESIDE = {
    "left": ("左边", "左侧"),
    "right": ("右边", "右侧"),
    "above": ("上面", "上方"),
    "below": ("下面", "下方"),
}
CHINESE_BEGINNINGS = ("", "", "", "有", "图片里有")


@dataclass(frozen=True, slots=True)
class Kind:
    """A statement about a group of things; None for anything not mentioned."""

    shape: str | None = None
    hue: str | None = None
    texture: str | None = None
    size: str | None = None
    count: int | None = None

    def fits(self, group: Group) -> bool:
        """Whether a group is of this kind."""
        found = (group.shape, group.hue, group.texture, group.size, len(group.things))
        said = (self.shape, self.hue, self.texture, self.size, self.count)
        return all(wanted is None or wanted == value for wanted, value in zip(said, found, strict=True))


@dataclass(frozen=True, slots=True)
class Claim:
    """The statement of a caption: one kind of things, or two and how the first lies to the second; the ground."""

    kind: Kind
    other: Kind | None = None
    relation: str | None = None
    ground: str | None = None

    def holds(self, layout: Layout) -> bool:
        """Whether the caption is true of a scene."""
        if self.ground not in (None, layout.ground):
            return False
        main, companion = layout.main, layout.companion
        if self.other is None:
            return self.kind.fits(main) or (companion is not None and self.kind.fits(companion))
        if companion is None or layout.relation is None:
            return False
        if self.kind.fits(main) and self.other.fits(companion) and self.relation in (None, layout.relation):
            return True
        turned = OPPOSITE[layout.relation]
        return self.kind.fits(companion) and self.other.fits(main) and self.relation in (None, turned)


@dataclass(frozen=True, slots=True)
class Caption:
    """The same claim in both languages."""

    english: str
    chinese: str
    claim: Claim


def captions(layout: Layout, rng: random.Random) -> tuple[Caption, ...]:
    """A short, a medium and a full caption: of one kind of things, of what is beside them, and of everything."""
    return tuple(describe(layout, length, rng) for length in ("short", "middling", "full"))


def describe(layout: Layout, length: str, rng: random.Random) -> Caption:
    """A caption of this length, put into words as chance has it."""
    return put_into_words(_claim(layout, length, rng), rng)


def _claim(layout: Layout, length: str, rng: random.Random) -> Claim:
    main, companion = layout.main, layout.companion
    if length == "full":
        other = _kind(companion, *FACTS) if companion else None
        return Claim(_kind(main, *FACTS), other, layout.relation, layout.ground)
    if length == "short":
        group = main if companion is None or rng.random() < 0.75 else companion
        return Claim(_kind(group, *rng.choice(SHORT)))
    said = [name for name in FACTS if rng.random() < 0.6]
    if companion is None:
        return Claim(_kind(main, "hue", "count", *said), ground=layout.ground if rng.random() < 0.4 else None)
    of_other = [name for name in ("hue", "texture") if rng.random() < 0.6]
    relation = layout.relation if rng.random() < 0.8 else None
    return Claim(_kind(main, *said), _kind(companion, *of_other, "count"), relation)


def _kind(group: Group, *said: str) -> Kind:
    facts = {"hue": group.hue, "texture": group.texture, "size": group.size}
    mentioned = {name: value for name, value in facts.items() if name in said}
    return Kind(group.shape, count=len(group.things) if "count" in said else None, **mentioned)


def put_into_words(claim: Claim, rng: random.Random) -> Caption:
    """A claim in both languages, in one of the ways to say it."""
    return Caption(_english(claim, rng), _chinese(claim, rng), claim)


def _english(claim: Claim, rng: random.Random) -> str:
    things = _english_things(claim.kind, rng)
    if claim.other is not None:
        other = _english_things(claim.other, rng)
        if claim.relation is None:
            things = f"{things} and {other}"
        elif rng.random() < 0.75:
            things = f"{things} {rng.choice(BESIDE[claim.relation])} {other}"
        else:
            things = f"{other} {rng.choice(BESIDE[OPPOSITE[claim.relation]])} {things}"
    if claim.ground is not None:
        things = f"{things} on a {claim.ground} background"
    return rng.choice(BEGINNINGS) + things


def _english_things(kind: Kind, rng: random.Random) -> str:
    words = [kind.size or "", rng.choice(PLAIN[kind.texture]) if kind.texture else "", kind.hue or ""]
    if rng.random() < 0.3:
        words[1:] = reversed(words[1:])
    name = kind.shape or "shape"
    if kind.count is None:
        words.append(rng.choice((name, PLURALS[name])))
    else:
        words = [NUMBERS[kind.count][rng.random() < 0.15], *words, name if kind.count == 1 else PLURALS[name]]
    words = [word for word in words if word]
    if words[0] == "a" and words[1][0] in "aeiou":
        words[0] = "an"
    return " ".join(words)


def _chinese(claim: Claim, rng: random.Random) -> str:
    things = _chinese_things(claim.kind, rng)
    if claim.other is not None:
        other = _chinese_things(claim.other, rng)
        if claim.relation is None:
            things = f"{things}和{other}"
        else:
            here, there = CHINESE_BESIDE[claim.relation], CHINESE_BESIDE[OPPOSITE[claim.relation]]
            things = rng.choice(
                (
                    f"{other}{rng.choice(here)}有{things}",
                    f"{things}在{other}的{rng.choice(here)}",
                    f"{things}在{other}{rng.choice(here)}",
                    f"{other}在{things}{rng.choice(there)}",
                )
            )
    if claim.ground is not None:
        ground = CHINESE[claim.ground]
        return rng.choice((f"{ground}背景上，{things}", f"{things}，{ground}背景"))
    return (rng.choice(CHINESE_BEGINNINGS) if claim.other is None else "") + things


def _chinese_things(kind: Kind, rng: random.Random) -> str:
    words = [CHINESE[word] if word else "" for word in (kind.size, kind.hue, kind.texture, kind.shape)]
    if kind.size and rng.random() < 0.5:
        words[0] += "的"
    if rng.random() < 0.3:
        words[1:3] = reversed(words[1:3])
    if kind.count is not None and (kind.count > 1 or rng.random() < 0.6):
        words.insert(0, CHINESE_NUMBERS[kind.count][rng.random() < 0.15] + "个")
    return "".join(words)


def words() -> list[str]:
    """Every English word and Chinese character that captions are made of, in a fixed order."""
    english = [*PLURALS, *PLURALS.values(), "an", "and", "on", "background", "pale", *(hue for hue in CHINESE)]
    tables = (NUMBERS, BESIDE, PLAIN)
    english += [word for table in tables for ways in table.values() for word in ways] + list(BEGINNINGS)
    chinese = [*CHINESE.values(), *CHINESE_BEGINNINGS, "个的和有在背景上，"]
    chinese += [word for table in (CHINESE_NUMBERS, CHINESE_BESIDE) for ways in table.values() for word in ways]
    found = [word for text in english for word in text.split()] + [letter for text in chinese for letter in text]
    return list(dict.fromkeys(found))
