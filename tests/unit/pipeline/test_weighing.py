"""The weight of hybrid searches is learnt on one half of the queries and measured on the other."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.pipeline.weighing import FIRST, Judged, gain_of, learn_weight, read_judged
from image_retrieval.pipeline.wording import asked_text, asked_words

IDS = st.lists(st.sampled_from("abcdefghijklmnop"), unique=True)


@given(found=IDS, right=st.sets(st.sampled_from("abcdefghijklmnop"), min_size=1))
def test_gains_are_those_of_the_formula(found, right):
    ideal = sum(1 / math.log2(2 + at) for at in range(min(FIRST, len(right))))
    expected = sum(1 / math.log2(2 + at) for at in range(min(FIRST, len(found))) if found[at] in right) / ideal
    assert gain_of(found, frozenset(right)) == pytest.approx(expected)
    assert gain_of(sorted(right), frozenset(right)) == pytest.approx(1)


QUERIES = [Judged(str(number), frozenset("a")) for number in range(40)]


def test_the_weight_that_finds_the_right_answers_is_learnt():
    learnt = learn_weight(QUERIES, 0.5, lambda query, weight: "a" if weight == 0.8 else "ba")
    assert (learnt.weight, learnt.changed, learnt.after, learnt.held_out) == (0.8, True, 1, 20)
    assert learnt.gain == pytest.approx(1 - 1 / math.log2(3))


def test_a_weight_that_gains_nothing_on_held_out_queries_is_left():
    same = learn_weight(QUERIES, 0.5, lambda query, weight: "ba")
    assert (same.weight, same.changed, same.gain) == (0.5, False, 0)
    chance = learn_weight(QUERIES, 0.5, lambda query, weight: "a" if int(query.text) * int(10 * weight) % 3 else "ba")
    assert chance.changed == (chance.gain > chance.error)


def test_equal_texts_are_in_the_same_half():
    seen = {}
    learn_weight(QUERIES * 2, 0.5, lambda query, weight: seen.setdefault(query.text, []).append(weight) or "a")
    assert {len(weights) for weights in seen.values()} == {22, 4}  # each twice: under all weights, or former and best


def test_too_few_queries_are_told():
    data = "".join(json.dumps({"text": "same", "images": ["a"]}) + "\n" for _ in range(30)).encode()
    with pytest.raises(UserError, match="at least 20 of different texts"):
        read_judged("f", data)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"uri": "a"}', "(text must be a text)"),
        ('{"text": 5, "images": ["a"]}', "(text must be a text)"),
        ("[]", "(text must be a text)"),
        ('{"text": "x"}', "(images must be a list of image_ids)"),
        ('{"text": "x", "images": ["a", 1]}', "(images must be a list of image_ids)"),
    ],
)
def test_a_line_that_is_no_query_is_told_in_words(line, told):
    with pytest.raises(UserError) as error:
        read_judged("f", line.encode())
    assert str(error.value).endswith(told)


@given(st.text('ab -"\u3000红－“', max_size=12))
@example('-""-a')
@example('- -""a')
def test_a_text_without_minus_terms_stays_as_it_is(text):
    asked = asked_text(text)
    assert asked_text(asked) == asked
    if "-" not in text and "－" not in text:
        assert asked == text.strip(" \u3000")


def test_words_of_texts_with_weights():
    assert asked_words([("two red", 1), ('a "b', 0.5), ('x "y"', -1), ("z", 0)]) == 'two red a "b" -"x  y "'
    assert asked_words([("圆 “红", 1), ("一“二”三", -1)]) == '圆 “红" -"一 二 三"'
    assert asked_words([]) is None
