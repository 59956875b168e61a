"""Maps keep neighbours, are the same each time, and stay where they were; their points survive packing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from image_retrieval.maps.clusters import find_clusters, nearest_cluster, smallest
from image_retrieval.maps.layout import lay_out, principal
from image_retrieval.maps.neighbours import nearest
from image_retrieval.maps.packing import Points, pack, unpack
from image_retrieval.maps.placing import place

KINDS, EACH, DIMENSIONS = 15, 40, 32


@pytest.fixture(scope="module")
def groups():
    """Vectors of length 1 in groups that lie in all directions, and the group of each."""
    rng = np.random.default_rng(4)
    kinds = rng.integers(0, KINDS, KINDS * EACH)
    vectors = rng.standard_normal((KINDS, DIMENSIONS))[kinds] + 0.6 * rng.standard_normal((len(kinds), DIMENSIONS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), kinds


@pytest.fixture(scope="module")
def laid(groups):
    return lay_out(groups[0][:400])


def same_kind(positions, kinds):
    squares = ((positions[:, None] - positions[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    return (kinds[np.argsort(squares, axis=1)[:, :10]] == kinds[:, None]).mean()


def test_neighbours_stay_neighbours(groups, laid):
    vectors, kinds = groups
    assert same_kind(laid, kinds[:400]) > 0.97 > 1.5 * same_kind(principal(vectors[:400]), kinds[:400])
    assert laid.min() >= 0
    assert laid.max() <= 1


def test_the_layout_is_the_same_each_time(groups, laid):
    assert np.array_equal(lay_out(groups[0][:400]), laid)


def test_what_was_not_laid_out_is_placed_among_its_kind_and_by_itself(groups, laid):
    vectors, kinds = groups
    placed = place(vectors[400:], vectors[:400], laid)
    assert same_kind(np.concatenate([laid, placed]), kinds) > 0.97
    one_by_one = np.concatenate([place(vectors[at : at + 1], vectors[:400], laid) for at in range(400, 450)])
    assert np.allclose(one_by_one, placed[:50], atol=1e-5)
    assert np.abs(place(vectors[:20], vectors[:400], laid) - laid[:20]).max() < 0.1


def test_a_map_that_is_made_again_lies_on_the_former_one(groups, laid):
    vectors, _ = groups
    former = np.full((500, 2), np.nan)
    former[:400] = laid
    again = lay_out(vectors[:500], former=former)
    moved = np.linalg.norm(again[:400] - laid, axis=1)
    unknown = np.linalg.norm(lay_out(vectors[:500])[:400] - laid, axis=1)
    assert np.median(moved) < min(0.05, np.median(unknown))


@pytest.mark.parametrize("count", [2, 3, 5, 13])
@pytest.mark.parametrize("kind", ["same", "other"])
def test_few_and_equal_vectors_have_a_map(groups, count, kind):
    vectors = groups[0][:1].repeat(count, axis=0) if kind == "same" else groups[0][:count]
    laid = lay_out(vectors)
    assert laid.shape == (count, 2)
    assert ((laid >= 0) & (laid <= 1)).all()
    clusters = find_clusters(laid, vectors)
    assert {cluster.level for cluster in clusters} == {1}
    assert (place(vectors, vectors, laid) <= 1).all()


@given(st.integers(1, 400), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_clusters_are_a_tree_over_all_points(groups, count, seed):
    vectors = groups[0][:count]
    positions = np.random.default_rng(seed).random((count, 2)).round(seed)
    clusters = find_clusters(positions, vectors, seed)
    assert [cluster.number for cluster in clusters] == list(range(len(clusters)))
    by_number = {cluster.number: cluster for cluster in clusters}
    deepest = max(cluster.level for cluster in clusters)
    held = set(nearest_cluster(positions, smallest(clusters)).tolist())
    assert held == {cluster.number for cluster in clusters if cluster.level == deepest}
    for cluster in clusters:
        assert (cluster.parent is None) == (cluster.level == 1)
        assert cluster.parent is None or by_number[cluster.parent].level == cluster.level - 1
        assert 0 <= cluster.typical < count
    assert {cluster.parent for cluster in clusters if cluster.level > 1} == {
        cluster.number for cluster in clusters if cluster.level < deepest
    }


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.data())
def test_the_nearest_are_those_of_a_sort(count, others, k, data):
    values = arrays(np.int8, (count + others, 3), elements=st.integers(-3, 3))
    vectors = data.draw(values).astype(np.float32)
    rows, cosines = nearest(vectors[:count], vectors[count:], k)
    expected = -np.sort(-(vectors[:count] @ vectors[count:].T), axis=1)[:, :k]
    assert np.array_equal(cosines, expected)
    assert np.array_equal(np.einsum("nd,nkd->nk", vectors[:count], vectors[count:][rows]), expected)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 65535))))
def test_packed_points_are_where_they_were(points):
    columns = list(zip(*points, strict=True)) or [()] * 4
    ids, x, y, clusters = (np.array(column) for column in columns)
    given_ = Points(ids.astype(np.int64), x.astype(np.float32), y.astype(np.float32), clusters.astype(np.int32))
    data = pack(given_)
    assert len(data) == 8 + 14 * len(points)
    found = unpack(data)
    assert np.array_equal(found.ids, given_.ids)
    assert np.array_equal(found.clusters, given_.clusters)
    assert np.abs(found.x - given_.x).max(initial=0) <= 0.51 / 65535
    assert np.abs(found.y - given_.y).max(initial=0) <= 0.51 / 65535


@pytest.mark.parametrize("data", [b"", b"map1", b"map2\0\0\0\0", b"map1\1\0\0\0"])
def test_other_bytes_are_no_points(data):
    with pytest.raises(ValueError, match="no points"):
        unpack(data)
