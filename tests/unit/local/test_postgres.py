"""The embedded PostgreSQL keeps in memory what searches read, by the size of the machine."""

import pytest

from image_retrieval.local.postgres import buffers


@pytest.mark.parametrize(("memory", "expected"), [(2**30, 256), (8 * 2**30, 1024), (24 * 2**30, 3072), (2**40, 8192)])
def test_its_buffers_are_an_eighth_of_memory_within_bounds(memory, expected):
    assert buffers(memory) == expected
