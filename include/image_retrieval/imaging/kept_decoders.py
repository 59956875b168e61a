"""Decoding processes that the shards of a run have in common, since each one takes a while to start."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from image_retrieval.imaging.decoders import Decoders
from image_retrieval.picture_options import ResampleOptions
from image_retrieval.settings import Settings

Kind = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a block has started, by the settings that matter to it."""

    ends: ExitStack
    started: dict[Kind, Decoders] = field(default_factory=dict)


_kept: ContextVar[_Kept | None] = ContextVar("kept decoders", default=None)
os.register_at_fork(after_in_child=lambda: _kept.set(None))  # the parent reads what they answer


@contextmanager
def keeping_decoders() -> Iterator[None]:
    """Whatever `decoders_of` starts within the block serves the whole block, and ends with it.

    A block within another one takes part in the outer one. Other threads have none of it.
    """
    if _kept.get() is not None:
        yield
        return
    with ExitStack() as ends:
        outside = _kept.set(_Kept(ends))
        try:
            yield
        finally:
            _kept.reset(outside)


@contextmanager
def decoders_of(settings: Settings) -> Iterator[Decoders]:
    """Decoding processes with the limits of the settings, started if none are kept. Each picture names its options."""
    kept = _kept.get()
    if kept is None:
        with Decoders(ResampleOptions(), settings) as own:
            yield own
        return
    kind = _kind(settings)
    if kind not in kept.started:
        kept.started[kind] = kept.ends.enter_context(Decoders(ResampleOptions(), settings))
    yield kept.started[kind]


def _kind(settings: Settings) -> Kind:
    return (
        settings.cores,
        settings.max_image_pixels,
        settings.max_image_frames,
        settings.max_image_seconds,
        settings.decoder_memory_mb,
    )
