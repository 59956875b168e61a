"""Each text of the page is one that t() translates, and has its Chinese with the same values in it."""

import re
from collections import Counter
from typing import get_args

import pytest

from image_retrieval.errors import Reason
from image_retrieval.imaging.looks import COLOURS
from image_retrieval.service.routes.page import FILES
from image_retrieval.store.trainings import Decision, State
from image_retrieval.training.options import Method
from image_retrieval.training.pairs.options import PAIR_METHODS

SCRIPTS = {name: data.decode() for name, data in FILES.items() if name.endswith(".js")}
LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|`(?:[^`\\]|\\.)*`')
TOKEN = re.compile(rf"{LITERAL.pattern}|[()\[\]{{}},]|/\*.*?\*/|//[^\n]*", re.DOTALL)
CALL = re.compile(r"(?<![\w.])(t|counted)\(")
READ = re.compile(
    r"(?:\b(?:text|title|alt|placeholder|message|hint|detail)|\"aria-label\"): *(?=[\"'`])|\bsay\((?=[\"'`])"
)
PROSE = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")
CODE = re.compile(rf"\bclass: (?:{LITERAL.pattern}|[^,}}]*)|(?:querySelector(?:All)?|matches)\((?:{LITERAL.pattern})?")
KEPT = {"language.js": {"English"}}  # texts that are the same in each language


def _arguments(script: str, start: int) -> list[str]:
    """The arguments of the call whose brackets open before `start`."""
    depth, begin, found = 0, start, []
    for token in TOKEN.finditer(script, start):
        sign = token.group()
        if depth == 0 and sign in (",", ")"):
            found.append(script[begin : token.start()])
            begin = token.end()
            if sign == ")":
                return found
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(sign, 0)
    raise AssertionError(script[start - 40 : start + 40])


def _value(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1])


def _keys(script: str) -> set[str]:
    """The texts that a module asks the Chinese of."""
    script = re.sub(r"/\*.*?\*/", "", script, flags=re.DOTALL)
    keys = set()
    for call in CALL.finditer(script):
        if script[: call.start()].endswith("function "):
            continue
        given = _arguments(script, call.end())
        texts = given[0] if call.group(1) == "t" else given[1]
        literals = [_value(one) for one in LITERAL.findall(texts)]
        keys |= set(literals) if call.group(1) == "t" else {f"{{n}} {one}" for one in literals}
    return keys


def _outside(script: str) -> str:
    """A module without its comments and without what t() and counted() are given."""
    script = re.sub(r"/\*.*?\*/|(?<=[\s;])//[^\n]*", "", script, flags=re.DOTALL)
    for call in reversed(list(CALL.finditer(script))):
        if not script[: call.start()].endswith("function "):
            length = sum(len(one) + 1 for one in _arguments(script, call.end()))
            script = script[: call.start()] + "asked" + script[call.end() + length :]
    return script


def _static() -> set[str]:
    """The texts of index.html, as language.js finds them."""
    document = FILES["index.html"].decode()
    document = re.sub(r'<(\w+)[^>]*translate="no"[^>]*>(?:[^<]*</\1>)?', "<br>", document)
    texts = re.findall(r'\b(?:title|aria-label|placeholder|alt)="([^"]*)"', document) + re.findall(
        r">([^<]*)<", document
    )
    return {" ".join(text.split()) for text in texts if re.search(r"[A-Za-z]", text)}


def _entries(name: str) -> dict[str, str]:
    """The entries of one of the tables of chinese.js."""
    block = re.search(rf"export const {name} = \{{(.*?)\n\}};", SCRIPTS["chinese.js"], re.DOTALL)
    assert block
    pairs = re.findall(rf"({LITERAL.pattern}|\w+): ({LITERAL.pattern}),", block.group(1))
    keys = [_value(key) if key[0] in "\"'" else key for key, _ in pairs]
    assert [key for key, times in Counter(keys).items() if times > 1] == []
    return {key: _value(text) for key, (_, text) in zip(keys, pairs, strict=True)}


CHINESE, TERMS = _entries("CHINESE"), _entries("TERMS")


def test_each_text_has_its_chinese_and_no_chinese_is_left_over():
    asked = _static().union(*(_keys(script) for name, script in SCRIPTS.items() if name != "language.js"))
    assert asked == set(CHINESE)


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items(), ids=range(len(CHINESE)))
def test_the_chinese_is_chinese_and_has_the_same_values(english, chinese):
    values = re.compile(r"\{\w+\}")
    assert sorted(values.findall(english)) == sorted(values.findall(chinese))
    assert re.search(r"[\u4e00-\u9fff]", chinese) or not re.search(r"[A-Za-z]", values.sub("", chinese))
    assert not re.search(r"[\u4e00-\u9fff][,.!?;:](?:\s|$)", chinese)  # Chinese has its own marks


@pytest.mark.parametrize("name", sorted(SCRIPTS.keys() - {"chinese.js"}))
def test_no_text_is_shown_without_its_chinese(name):
    script = _outside(SCRIPTS[name])
    shown = [found for one in READ.finditer(script) if (found := _letters(LITERAL.match(script, one.end())))]
    prose = [text for text in LITERAL.findall(CODE.sub("", script)) if PROSE.search(re.sub(r"\$\{.*?\}", "", text))]
    assert {_value(text) for text in shown + prose} <= KEPT.get(name, set())


def _letters(literal: re.Match[str] | None) -> str | None:
    text = literal.group() if literal else ""
    return text if re.search(r"[A-Za-z]", re.sub(r"\$\{.*?\}", "", text)) else None


def test_fixed_words_of_the_service_have_their_chinese():
    words = {*Reason, *get_args(State), *get_args(Decision), *get_args(Method), *PAIR_METHODS}
    drawn = {"landscape", "portrait", "square", *COLOURS}
    assert words | drawn | {"running", "success", "failed", "duplicate", "different"} == set(TERMS)
