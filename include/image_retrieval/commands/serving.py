"""Commands of the search service."""

import argparse

from image_retrieval.settings import Settings


def serve(options: argparse.Namespace, settings: Settings) -> None:
    """Serve the search API over HTTP until stopped."""
    from image_retrieval.service.standalone import serve

    serve(settings, options.host, options.port)
