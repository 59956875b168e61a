"""What tables hold and Python does not."""

import pytest

from image_retrieval.store.loaders import SHOWN_BYTES, SHOWN_LETTERS, Unreadable, _read, shown_facts


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        (None, None),
        ("{}", {}),
        ('{"a": [1, 1.5, null]}', {"a": [1, 1.5, None]}),
        ('{"a": 1' + "0" * 308 + "}", {"a": 10**308}),
    ],
)
def test_attributes_are_shown_as_they_are(attributes, shown):
    row = shown_facts(attributes, None)
    assert row == {"attributes": shown, "caption": None, "unreadable": {}}


@pytest.mark.parametrize(
    "attributes",
    [
        "[" * 100_000,
        '{"a": ' * 60 + "1" + "}" * 60,
        '{"a": 1' + "0" * 309 + "}",
        "[]",
        "1",
        '"' + " " * SHOWN_BYTES + '"',
    ],
)
def test_other_attributes_are_told_in_a_line(attributes):
    row = shown_facts(attributes, "x" * (SHOWN_LETTERS + 1))
    assert (row["attributes"], row["caption"]) == (None, "x" * SHOWN_LETTERS)
    assert set(row["unreadable"]) == {"attributes", "caption"}
    assert all(len(told) < 200 for told in row["unreadable"].values())


def test_json_of_other_columns_is_read_or_marked():
    assert _read(b'{"a": 1}') == {"a": 1}
    assert isinstance(_read("[" * 100_000), Unreadable)
