"""The lists of phrases: each in one language, none twice, and put together as people write."""

import pytest

from image_retrieval.models.calibration import text_direction
from image_retrieval.models.phrases import describing, naming, phrases_of


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_language_has_phrases_of_its_own(language):
    nothing, names = phrases_of(language).about_nothing, naming(language)
    assert len(set(nothing)) == len(nothing) == 100
    assert len(set(names)) == len(names) == len(phrases_of(language).things) > 80
    made = [*nothing, *names, *describing(language, range(len(names)))]
    assert len(set(made)) == len(made)
    assert {text_direction(text) for text in made} == {f"text_image_{language}"}
    assert all(text == text.strip() and "  " not in text for text in made)


def test_phrases_name_things_as_people_do():
    assert naming("en")[0] == "a dog"
    assert "an insect" in naming("en")
    assert naming("zh")[0] == "一只狗"
    assert {"one red dog", "two red dogs", "three striped dogs"} <= set(describing("en", [0]))
    assert {"一只红色狗", "三只白色狗"} <= set(describing("zh", [0]))
    assert describing("en", []) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_look_is_said_twice_of_a_thing(language):
    phrases = phrases_of(language)
    nouns = [form for thing in phrases.things for form in (thing if language == "en" else thing[1:])]
    assert not [(look, noun) for look in phrases.looks for noun in nouns if noun[:4] == look[:4] or look in noun]
