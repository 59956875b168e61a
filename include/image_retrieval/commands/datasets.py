"""Commands that export a collection as a data set, and import one."""

import argparse

from image_retrieval.commands.collections import listed_collection, searchable_collection
from image_retrieval.commands.printing import print_json
from image_retrieval.settings import Settings


def export(options: argparse.Namespace, settings: Settings) -> None:
    """Write a collection's images and vectors as Parquet."""
    from image_retrieval.pipeline.exporting import export_collection
    from image_retrieval.progress import stage_progress

    collection = searchable_collection(settings, options.collection)
    with stage_progress(("export",)) as show:
        manifest = export_collection(collection, options.uri, settings, progress=lambda done: show("export", done))
    print_json(manifest)


def load(options: argparse.Namespace, settings: Settings) -> None:
    """Load vectors that were made elsewhere from Parquet into a collection."""
    from image_retrieval.pipeline.importing import import_collection
    from image_retrieval.progress import stage_progress

    collection = listed_collection(settings, options.collection)
    with stage_progress(("import",)) as show:
        report = import_collection(
            collection, options.uri, settings, model=options.model, progress=lambda done: show("import", done)
        )
    print_json(report)
