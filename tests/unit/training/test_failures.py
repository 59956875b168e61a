"""What ended a training is told in words."""

import pytest
import torch

from image_retrieval.errors import UserError
from image_retrieval.training.failures import in_words
from image_retrieval.training.options import TrainingOptions


def told(error: Exception, **more) -> UserError | None:
    return in_words(error, TrainingOptions("pack/", "moco", "random", batch_size=64, **more))


def test_torchs_own_error_of_too_little_memory_is_one_of_too_little_memory():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**56)
    assert str(told(error.value)) == (
        "the memory does not suffice for --batch-size 64: use --accumulate 2, --gradient-checkpointing, or a smaller "
        "--batch-size"
    )


def test_what_is_used_already_is_not_advised():
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
    words = str(told(error, accumulate=4, gradient_checkpointing=True))
    assert words.endswith(": use --accumulate 8, or a smaller --batch-size")


@pytest.mark.parametrize("error", [RuntimeError("Connection closed by peer"), ValueError("a fault")])
def test_faults_of_a_process_alone_are_left_as_they_are(error):
    assert told(error) is None


def test_errors_that_tell_themselves_are_left_as_they_are():
    error = UserError("one line")
    assert told(error) is error
