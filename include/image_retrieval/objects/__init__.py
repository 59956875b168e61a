"""Objects named by URI: `s3://bucket/key` in any store of schemes.py, `file:///path` on this machine."""

from image_retrieval.objects.base import (
    ANEW,
    AccessRefused,
    ListingIncomplete,
    NameUnsupported,
    NotDeleted,
    ObjectChanged,
    ObjectFault,
    ObjectMissing,
    ObjectTooLarge,
    ObjectUnreadable,
    Page,
    StoredObject,
    StoreUnavailable,
)
from image_retrieval.objects.front import ObjectStore
from image_retrieval.objects.uris import local_path, split_s3

__all__ = [
    "ANEW",
    "AccessRefused",
    "ListingIncomplete",
    "NameUnsupported",
    "NotDeleted",
    "ObjectChanged",
    "ObjectFault",
    "ObjectMissing",
    "ObjectStore",
    "ObjectTooLarge",
    "ObjectUnreadable",
    "Page",
    "StoreUnavailable",
    "StoredObject",
    "local_path",
    "split_s3",
]
