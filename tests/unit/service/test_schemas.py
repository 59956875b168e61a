"""What the API takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from image_retrieval.service.schemas import Picture, SearchForm
from image_retrieval.values import NewImageId

IDS = TypeAdapter(NewImageId)


@given(st.text(max_size=40))
def test_an_id_that_is_taken_stays_under_its_folder(text):
    try:
        IDS.validate_python(text)
    except ValidationError:
        return
    assert text.encode()
    assert not {"", ".", ".."} & set(text.split("/"))
    assert not set(text) & set("\\\0\n")


@pytest.mark.parametrize("image_id", ["a", "2026/11/cat_01", "a.b/c d", "猫/一", "..a/b.."])
def test_usual_ids_are_taken(image_id):
    assert IDS.validate_python(image_id) == image_id


@pytest.mark.parametrize("given", [{}, {"base64": "a", "url": "http://x/"}, {"image_id": "a", "base64": "b"}])
def test_a_picture_is_given_in_one_way(given):
    with pytest.raises(ValidationError, match="give one of"):
        Picture(**given)


def test_a_search_needs_something_to_look_for():
    with pytest.raises(ValidationError, match="weight above 0"):
        SearchForm(collection="a", texts=[{"text": "a", "weight": 0}])
