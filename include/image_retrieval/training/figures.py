"""Figures of vectors, with and without labels: how well they find again, and how their spectrum is spread."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Values = NDArray[np.float64]
BLOCK = 1024  # queries that are compared at once


class Spectrum(NamedTuple):
    """How the variance of vectors is spread: their effective rank, and the slope at which it falls."""

    rank_me: float
    alpha_req: float


def ranks_of(queries: Vectors, gallery: Vectors, own: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each query the rank, from 1, of the vector at `own` among all of the gallery, by their inner products.

    `queries` (m, d) and `gallery` (n, d) have length 1. A vector as near as its own counts before it, so that vectors
    that are all alike find nothing.
    """
    found = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), BLOCK):
        part = slice(start, start + BLOCK)
        near = queries[part] @ gallery.T
        at = own[part]
        best = np.take_along_axis(near, at[:, None], axis=1)
        found[part] = (near >= best).sum(axis=1)
    return found


def group_precision(vectors: Vectors, groups: NDArray[np.int64], k: int = 10) -> Values:
    """For each vector (n, d) of a group with others: which part of its nearest ones, itself left out, are of its group.

    Of the nearest `k`, or of as many as the group has others.
    """
    counts = np.bincount(groups)[groups] - 1
    asked = np.flatnonzero(counts > 0)
    found = np.empty(len(asked), np.float64)
    for start in range(0, len(asked), BLOCK):
        rows = asked[start : start + BLOCK]
        near = vectors[rows] @ vectors.T
        near[np.arange(len(rows)), rows] = -np.inf
        order = np.argsort(-near, axis=1, kind="stable")[:, :k]
        same = groups[order] == groups[rows][:, None]
        wanted = np.minimum(counts[rows], k)
        within = np.arange(order.shape[1])[None, :] < wanted[:, None]
        found[start : start + len(rows)] = (same & within).sum(axis=1) / wanted
    return found


def spectrum(vectors: Vectors) -> Spectrum:
    """The effective rank (RankMe) and the decay (α-ReQ) of vectors (n, d).

    RankMe: exp of the entropy of the singular values (Garrido et al. 2022, arXiv 2210.02885). α-ReQ: the exponent of
    the power law that the eigenvalues of the covariance follow (Agrawal et al., NeurIPS 2022), fitted from the tenth
    to the last but a tenth.
    """
    values = np.asarray(vectors, np.float64)
    singular: Values = np.asarray(np.linalg.svd(values, compute_uv=False), np.float64)
    centred = np.linalg.svd(values - values.mean(axis=0), compute_uv=False) ** 2
    return Spectrum(_effective_rank(singular), _slope(centred))


def lidar(views: Vectors, *, softening: float = 1e-4) -> float:
    """The effective rank of how views of pictures differ between pictures, against within one.

    `views` (n, q, d): q views of each of n pictures. LiDAR (Thilak et al. 2023, arXiv 2312.04000), with its δ.
    """
    values = np.asarray(views, np.float64)
    means = values.mean(axis=1)
    between = np.cov(means, rowvar=False, bias=True)
    apart = (values - means[:, None]).reshape(-1, values.shape[2])
    within = apart.T @ apart / len(apart) + softening * np.eye(values.shape[2])
    eigenvalues, vectors = np.linalg.eigh(within)
    whitening = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
    return _effective_rank(np.clip(np.linalg.eigvalsh(whitening @ between @ whitening), 0, None))


def _effective_rank(values: Values) -> float:
    total = values.sum()
    if not total > 0:
        return 0.0
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _slope(eigenvalues: Values) -> float:
    kept = eigenvalues[eigenvalues > eigenvalues[0] * 1e-12] if eigenvalues[0] > 0 else eigenvalues[:0]
    first, last = (9, int(len(kept) * 0.9)) if len(kept) >= 30 else (0, len(kept))
    if last - first < 2:
        return float("inf")
    places = np.log(np.arange(first, last) + 1.0)
    return float(-np.polyfit(places, np.log(kept[first:last]), 1)[0])
