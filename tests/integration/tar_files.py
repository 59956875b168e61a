"""Tars as other programs write them: Python's tarfile, and WebDataset's writer."""

import io
import tarfile
from collections.abc import Mapping
from typing import Any

import webdataset

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tar_of(files: Mapping[str, bytes], form: str = "pax") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=FORMATS[form]) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return target.getvalue()


def samples_of(samples: Mapping[str, Mapping[str, Any]]) -> bytes:
    """A shard of WebDataset: of each key, its parts by their suffixes."""
    target = io.BytesIO()
    with webdataset.TarWriter(target) as writer:
        for key, parts in samples.items():
            writer.write({"__key__": key, **parts})
    return target.getvalue()
