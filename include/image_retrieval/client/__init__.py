"""The front for Python users: `Client` searches, compares and embeds; results display as tables or pictures."""

from image_retrieval.client.errors import ClientClosed, UnknownCollection, UnusableImage
from image_retrieval.client.front import Client
from image_retrieval.client.results import CollectionInfo, Hit, Match, Results

__all__ = [
    "Client",
    "ClientClosed",
    "CollectionInfo",
    "Hit",
    "Match",
    "Results",
    "UnknownCollection",
    "UnusableImage",
]
