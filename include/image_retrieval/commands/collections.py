"""Commands for collections: list, show, drop; and finding the collection that a command names."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

from image_retrieval.collection import Collection, find_collection, load_collections
from image_retrieval.commands.confirming import agreed
from image_retrieval.commands.printing import print_json, print_table
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings

HELP = "List, show and drop collections."
State = Literal["listed", "made", "unlisted"]
IN_WORDS = {"made": "made through the API", "unlisted": "not in the file"}


def add_to(group: Any, add: Callable[..., Any]) -> None:
    """Add these commands to the group `collections`, with the function that adds one command."""
    add("list", list_all, to=group, json_too=True)
    add("show", show, to=group, collection=True, json_too=True)
    dropping = add("drop", drop, to=group, collection=True)
    dropping.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    dropping.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    dropping.add_argument(
        "--with-originals", action="store_true", help="also remove the originals of a collection made through the API"
    )
    dropping.add_argument(
        "--force", action="store_true", help="even if a run seems to be under way, as a killed one does"
    )


def listed_collection(settings: Settings, name: str) -> Collection:
    """The entry of collections.yaml. Raises UserError, which explains a collection that only the database knows."""
    entry = load_collections(settings.collections_path).get(name)
    if entry is None and (found := _stored(settings).get(name)):
        raise UserError(_told(settings, name, found[1]))
    return entry or find_collection(settings.collections_path, name)


def searchable_collection(settings: Settings, name: str) -> Collection:
    """The entry of collections.yaml, else the collection in the database, which a line on standard error reports."""
    entry = load_collections(settings.collections_path).get(name)
    if entry is None and (found := _stored(settings).get(name)):
        if found[1] == "unlisted":
            print(f"image-retrieval: {_told(settings, name, 'unlisted')}", file=sys.stderr)
        return found[0]
    return entry or find_collection(settings.collections_path, name)


def _told(settings: Settings, name: str, state: State) -> str:
    works = "searches, `rejected`, `export`, `stats` and `upkeep` work, runs, imports and switches do not"
    drop = f"`image-retrieval collections drop {name}` removes it"
    if state == "made":
        return f"collection {name!r} was made through the API, and only the API changes it: {works}; {drop}"
    return f"collection {name!r} is no longer in {settings.collections_path}: {works}; {drop}"


def _stored(settings: Settings) -> dict[str, tuple[Collection, State]]:
    """The collections that only the database knows; none if no database is configured."""
    try:
        return _known_beside(settings)
    except UserError:
        return {}


def _known_beside(settings: Settings) -> dict[str, tuple[Collection, State]]:
    from image_retrieval.store.collections import made_collections, stored_collections
    from image_retrieval.store.connection import connect

    listed = load_collections(settings.collections_path)
    with connect(settings) as connection:
        made = made_collections(connection)
        stored = stored_collections(connection) | made
    return {
        name: (entry, "made" if name in made else "unlisted") for name, entry in stored.items() if name not in listed
    }


def list_all(options: argparse.Namespace, settings: Settings) -> None:
    """List the collections: those of collections.yaml, and those that only the database knows."""
    known: dict[str, tuple[Collection, State]] = {
        name: (entry, "listed") for name, entry in load_collections(settings.collections_path).items()
    }
    if settings.database_url.get_secret_value():
        try:
            known |= _known_beside(settings)
        except UserError as error:
            print(f"image-retrieval: listing only the collections of the file: {error}", file=sys.stderr)
    if options.json:
        print_json({name: {**_shown(entry), "state": state} for name, (entry, state) in known.items()})
        return
    print_table(
        ("collection", "source", "model", "schedule"),
        [
            (name, entry.source, entry.model.name, IN_WORDS.get(state) or entry.schedule or "by hand")
            for name, (entry, state) in known.items()
        ],
    )


def show(options: argparse.Namespace, settings: Settings) -> None:
    """Show a collection as JSON, with every default filled in."""
    print_json(_shown(searchable_collection(settings, options.collection)))


def _shown(entry: Collection) -> dict[str, object]:
    return entry.model_dump(mode="json", exclude={"name"})


def drop(options: argparse.Namespace, settings: Settings) -> int:
    """Remove a collection: its view, vectors, rows, kept pictures and work files, but not its originals."""
    from image_retrieval.pipeline.dropping import drop_collection, find_contents, is_known

    name = options.collection
    if not is_known(name, settings):
        listed_collection(settings, name)  # raises for a wrong name
        raise UserError(f"collection {name!r} has nothing in the database yet: there is nothing to drop")
    contents = find_contents(name, settings, originals=options.with_originals)
    print_json({"collection": name, **asdict(contents)})
    if options.dry_run:
        return 0
    if not options.yes and not agreed(f"collection {name!r}"):
        print("nothing was dropped", file=sys.stderr)
        return 1
    left = drop_collection(name, settings, originals=options.with_originals, force=options.force)
    if left:
        raise UserError(
            f"collection {name!r} is dropped, but the object store refuses to delete {len(left)} of its files, such as "
            f"{left[0]}: the same command or the next upkeep tries again"
        )
    if name in load_collections(settings.collections_path):
        message = f"the next run creates {name!r} again, as long as its entry is in {settings.collections_path}"
        print(f"image-retrieval: {message}", file=sys.stderr)
    return 0
