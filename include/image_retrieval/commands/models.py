"""Commands that add a model, switch a collection to another one, and back."""

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

from image_retrieval.commands.collections import listed_collection
from image_retrieval.commands.printing import print_json, print_table
from image_retrieval.commands.stages import new_run_id
from image_retrieval.settings import Settings

if TYPE_CHECKING:
    from image_retrieval.pipeline.models_in_use import CollectionModel


def list_models(options: argparse.Namespace, settings: Settings) -> None:
    """List the models under which each collection has vectors."""
    from image_retrieval.pipeline.models_in_use import list_models

    found = list_models(settings)
    if options.json:
        print_json({"models": found})
        return
    columns = ("collection", "model", "state", "dimensions", "source")
    rows = [(*(str(dict(row)[column]) for column in columns), _scores(row), _minute(row["until"])) for row in found]
    print_table((*columns, "scores", "kept until"), rows)


def _scores(row: "CollectionModel") -> str:
    return " ".join((row["scores"], *([_minute(row["fitted_at"])] if row["scores"] == "fitted" else [])))


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""


def add(options: argparse.Namespace, settings: Settings) -> None:
    """Fetch a checkpoint, convert it, try it, and put it where collections may take it from."""
    from dataclasses import asdict

    from image_retrieval.models.adding import add_model

    added = add_model(options.name, options.source, settings, revision=options.revision, tokenizer=options.tokenizer)
    if options.json:
        print_json(asdict(added))
        return
    languages, pictures = ", ".join(added.languages) or "not stated", added.width is not None
    texts = f"yes, languages: {languages}" if added.texts else "no"
    rows = [
        ("source", added.source),
        ("layout", added.layout),
        ("type", added.model_type),
        ("dimensions", "none: it writes captions" if added.dimensions is None else str(added.dimensions)),
        ("pictures", f"{added.width} × {added.height}" if pictures else "no: it can make vectors of captions"),
        ("texts", texts) if added.caption is None else ("languages", languages),
        *((("says of a scene", added.caption),) if added.caption is not None else ()),
        ("licence", added.licence or "not stated"),
        *((("speed here", f"{added.images_per_second} images/s"),) if pictures else ()),
        *((("commit", added.commit),) if added.commit else ()),
        ("digest", added.digest),
        *(("assumed", assumed) for assumed in added.assumed),
    ]
    print_table(("model", added.name), rows)


def presets(options: argparse.Namespace, settings: Settings) -> None:
    """List well-known checkpoints: dimensions, languages, licence, and what each is good for."""
    from dataclasses import asdict

    from image_retrieval.models.presets import PRESETS

    if options.json:
        print_json({"presets": [asdict(preset) for preset in PRESETS]})
        return
    columns = ("source", "dimensions", "texts", "licence", "good for")
    rows = [(each.source, str(each.dimensions), each.languages or "no", each.licence, each.use) for each in PRESETS]
    print_table(columns, rows)


def export(options: argparse.Namespace, settings: Settings) -> None:
    """Write a model's towers as files that other programs can run."""
    from image_retrieval.models.exporting import export_model

    with_cls_token = options.use_cls_token is not False
    files = export_model(
        options.source, options.folder, settings, revision=options.revision, use_cls_token=with_cls_token
    )
    if options.json:
        print_json({"files": [str(path) for path in files]})
        return
    print_table(("file", "bytes"), [(str(path), str(path.stat().st_size)) for path in files])


def switch(options: argparse.Namespace, settings: Settings) -> None:
    """Embed a collection under another model, and let its view show that model."""
    from image_retrieval.pipeline.switching import switch_collection, wanted_model
    from image_retrieval.progress import stage_progress

    collection = listed_collection(settings, options.collection)
    given = {name: getattr(options, name) for name in ("source", "revision", "dtype", "use_cls_token")}
    model = wanted_model(collection, options.model, settings, **given)
    with stage_progress(("resample", "embed")) as show:
        figures = switch_collection(
            collection, model, new_run_id(), settings, device=options.device or settings.device, progress=show
        )
    print_json(figures)


def rollback(options: argparse.Namespace, settings: Settings) -> None:
    """Undo the latest switch of a collection: its view shows the former model again."""
    from image_retrieval.pipeline.switching import roll_back

    print_json(roll_back(listed_collection(settings, options.collection), settings))
