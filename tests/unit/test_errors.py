import pickle

import pytest

from image_retrieval.errors import ImageRejected, Reason


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
