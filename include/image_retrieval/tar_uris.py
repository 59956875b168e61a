"""The names of pictures inside tars: `s3://bucket/shard.tar#cat.jpg`, and of sources that are tars."""

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

SUFFIX = ".tar"
COMPRESSED = re.compile(r"\.(?:tgz|tbz2?|txz|tzst|tar\.[a-z0-9]{1,4})/?", re.IGNORECASE)
MEMBER = re.compile(r"(.*?\.tar)#(.+)", re.IGNORECASE | re.DOTALL)
VERSION = re.compile(r"(.*):(\d{1,18})\+(\d{1,18})", re.DOTALL)
WILD = re.compile(r"[*?]")
BRACES = re.compile(r"\{\d+\.\.\d+\}")


class Place(NamedTuple):
    """Where the bytes of a member lie: in which version of which tar, from where on, and how many."""

    tar: str
    etag: str
    offset: int
    size: int


def split_member(uri: str) -> tuple[str, str] | None:
    """The tar and the name of a member; None if a URI is not one of a member."""
    found = MEMBER.fullmatch(uri)
    return (found[1], found[2]) if found else None


def member_uri(tar: str, name: str) -> str:
    """The URI of a member."""
    return f"{tar}#{name}"


def member_key(key: str) -> str:
    """The key of a member, from the part of its URI behind the source: `a/cat.jpg` of `a.tar#cat.jpg`."""
    found = MEMBER.fullmatch(key)
    return f"{found[1][: -len(SUFFIX)]}/{found[2]}" if found else key


def version_of(etag: str, offset: int, size: int) -> str:
    """The version of a member: any change of its tar makes it another one."""
    return f"{etag}:{offset}+{size}"


def place_of(uri: str, version: str) -> Place | None:
    """Where a version of a member lies; None for an object of its own, whatever its name."""
    member, found = split_member(uri), VERSION.fullmatch(version)
    return Place(member[0], found[1], int(found[2]), int(found[3])) if member and found else None


def lists_tars(source: str) -> bool:
    """Whether a source is a tar, or a pattern of tars."""
    return source.lower().endswith(SUFFIX)


def tars_fault(source: str) -> str | None:
    """What is wrong with a source as one of tars, in words that follow it; None if nothing is."""
    if COMPRESSED.search(source.rpartition("/")[2] or source) and not source.endswith("/"):
        return "is a compressed tar, of which no part can be read alone: give a plain .tar"
    if not lists_tars(source):
        return None
    if BRACES.search(source):
        return "has a range in braces: write * in its place, such as train-*.tar"
    if WILD.search(source.rpartition("/")[0]):
        return "has a pattern in a folder's name: only its last part may be one, such as shards/*.tar, in any folder"
    return None


def tars_folder(source: str) -> str:
    """The prefix that holds the tars of a source, ending in `/`."""
    return source.rpartition("/")[0] + "/"


def is_pattern(source: str) -> bool:
    """Whether a source names tars by a pattern; otherwise it is one tar."""
    return WILD.search(source.rpartition("/")[2]) is not None


def matches(key: str, source: str) -> bool:
    """Whether a key, relative to the source's folder, is that of one of its tars."""
    return fnmatchcase(key.rpartition("/")[2], source.rpartition("/")[2])
