import pickle
import re
from pathlib import Path

import pytest

from image_retrieval.errors import ImageRejected, Reason

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("detail", "text"), [("", "too_large"), ("9×9 pixels", "too_large: 9×9 pixels")])
def test_a_rejection_tells_its_reason_and_detail(detail, text):
    assert str(ImageRejected(Reason.TOO_LARGE, detail)) == text


@pytest.mark.parametrize("reason", Reason)
def test_a_rejection_passes_between_processes(reason):
    copy = pickle.loads(pickle.dumps(ImageRejected(reason, "detail")))
    assert (copy.reason, copy.detail, str(copy)) == (reason, "detail", f"{reason}: detail")


def test_only_what_lies_outside_of_the_image_passes_by_itself():
    assert {reason for reason in Reason if reason.transient} == {
        Reason.NOT_FOUND,
        Reason.ACCESS_DENIED,
        Reason.CHANGED_WHILE_READING,
        Reason.UNREACHABLE,
    }


def test_the_documented_reasons_are_the_list():
    table = (DOCS / "rejected.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \| .+ \| (yes|no) \|$", table, re.MULTILINE)
    assert documented == [(str(reason), "yes" if reason.transient else "no") for reason in Reason]
