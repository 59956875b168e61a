"""What a person asks for when a training begins, and all that can be wrong with it and is cheap to find."""

from dataclasses import asdict, dataclass, fields, replace
from typing import TypeVar

import pyarrow as pa
from pydantic import ValidationError

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.index_columns import index_format
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline import candidates, pair_requests
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.pipeline.shown import Shown, find_shown, listed_collections
from image_retrieval.settings import Settings
from image_retrieval.shards import TRAININGS_FOLDER, folder_in
from image_retrieval.store import models
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.trainings import Begun
from image_retrieval.training.options import RANDOM, TrainingOptions
from image_retrieval.training.pairs.options import PairOptions
from image_retrieval.training.pairs.texts import is_pair_file
from image_retrieval.training.records import FLAGS, Options
from image_retrieval.training.sampled import FEWEST

AGAINST = "against_"
PINS = ("revision", "use_cls_token")  # what else tells the model that a training is judged against
COLUMNS = ("pack", "method", "start")  # options that have columns of their own
TRAINED_FAMILIES = ("vision_transformer", "pooled_backbone", "efficientnet_lite")
HELD_OUT = 0.1
Kind = TypeVar("Kind", bound=Options)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A training that a person asks for.

    `source` is a collection, or the URI of an index file or, for a training on texts, of a file of pairs.
    `options.pack` does not count. Where `options.start` is
    empty, it is the model that the collection shows; so is `against`, the model that it is judged against. `images`:
    how many are taken at most. `gpus`: processes on each of so many `machines`.
    """

    name: str
    source: str
    options: Options
    against: str | None = None
    held_out: float = HELD_OUT
    images: int | None = None
    gpus: int = 1
    machines: int = 1


def planned(wanted: Wanted, settings: Settings) -> Begun:
    """The training with everything filled in. Raises UserError for what is wrong with it."""
    _require_sound(wanted, settings)
    folder = folder_in(settings.work_uri, TRAININGS_FOLDER, wanted.name)
    with connect(settings) as connection:
        _require_free(connection, wanted.name, f"{folder}model/", settings)
        require_own(connection, work_place(settings), ObjectStore(settings))
        of_file = index_format(wanted.source) or _is_of_pair_file(wanted.options, wanted.source)
        shown = None if of_file else _shown(connection, wanted.source, settings)
    options = replace(_started(wanted.options, wanted.source, shown), pack=f"{folder}pack/")
    against = _judged_against(wanted, options, shown)
    if against.source == RANDOM:
        raise UserError("a model is needed to judge the trained one against: state one under `against`")
    if isinstance(options, PairOptions):
        pair_requests.require_start(options, settings)
        pair_requests.require_general(options, settings)
    elif options.start != RANDOM:
        _require_trainable(options, settings)
    describe(model_folder(against.source, against.revision, settings, weights=False))
    chosen = _settings(wanted, options) | {AGAINST + name: getattr(against, name) for name in PINS}
    place = f"{folder}model/"
    begun = Begun(
        wanted.name, wanted.source, options.method, options.start, against.source, chosen, options.pack, place
    )
    _require_enough(begun, settings)
    return begun


def require_same(wanted: Wanted, known: Begun) -> None:
    """Raise UserError if a training of that name was begun otherwise. What was not stated may be what it was."""
    start = wanted.options.start or known.start
    own = replace(wanted.options, start=start, revision=wanted.options.revision or known.settings["revision"])
    asked = {"source": wanted.source, "method": own.method, "start": start, "against": wanted.against or known.against}
    begun = {"source": known.source, "method": known.method, "start": known.start, "against": known.against}
    for name, value in (asked | _settings(wanted, own)).items():
        if (former := (begun | {"machines": 1} | known.settings).get(name)) != value:
            raise UserError(
                f"training {wanted.name!r} was begun with {name} {former!r}, not {value!r}: give the new one another "
                "name, or the same settings"
            )


def _is_of_pair_file(options: Options, source: str) -> bool:
    return isinstance(options, PairOptions) and is_pair_file(source)


def _settings(wanted: Wanted, options: Options) -> dict[str, object]:
    """What the column `settings` holds."""
    stated = {name: value for name, value in asdict(options).items() if name not in COLUMNS}
    processes = {"machines": wanted.machines, "gpus": wanted.gpus}
    return stated | {"held_out": wanted.held_out, "images": wanted.images, **processes}


def options_of(training: Begun) -> TrainingOptions:
    """The options of `training run`."""
    names = {field.name for field in fields(TrainingOptions)}
    stated = {name: value for name, value in training.settings.items() if name in names}
    return TrainingOptions(pack=training.pack, method=training.method, start=training.start, **stated)  # type: ignore[arg-type]


def run_arguments(training: Begun) -> list[str]:
    """The arguments of `image-retrieval` that begin a training, or go on with it."""
    if pair_requests.is_of_pairs(training):
        return pair_requests.run_arguments(training)
    flags = []
    for name, value in asdict(options_of(training)).items():
        flag = f"--{FLAGS.get(name, name).replace('_', '-')}"
        if name != "pack" and value is not None and value is not False:
            flags.append(flag if value is True else f"{flag}={value}")
    return ["training", "run", training.pack, training.model, "--resume", *flags]


def gate_arguments(training: Begun) -> list[str]:
    """The arguments of `image-retrieval` that judge the trained model; a refusal is no failure.

    None of a training on texts, which judges its model itself.
    """
    if pair_requests.is_of_pairs(training):
        return []
    told = [f"--against={training.against}", f"--out={training.model}", f"--seed={training.settings['seed']}"]
    if revision := training.settings.get(f"{AGAINST}revision"):
        told.append(f"--against-revision={revision}")
    if not training.settings.get(f"{AGAINST}use_cls_token", True):
        told.append("--no-against-use-cls-token")
    return ["training", "gate", training.pack, training.model, *told, "--exit-zero"]


def candidates_of(training: Begun, settings: Settings) -> pa.Table:
    """The images that a training may learn from, in the order that its seed decides. Raises UserError."""
    if index_format(training.source):
        found = candidates.of_index_file(training.source, training.pack, settings)
    else:
        with connect(settings) as connection:
            shown = _shown(connection, training.source, settings)
        found = candidates.of_collection(shown.collection, training.pack, settings)
    if pair_requests.is_of_pairs(training):
        found = pair_requests.captioned(found)
    return candidates.shuffled(found, training.settings["seed"], training.settings["images"])


def _require_sound(wanted: Wanted, settings: Settings) -> None:
    """Raise UserError for what the request alone tells."""
    options = wanted.options
    try:
        ModelOptions(name=wanted.name, source="new")
    except ValidationError as error:
        raise UserError(f"name {wanted.name!r} of the model: {error.errors()[0]['msg']}") from None
    if not 0 < wanted.held_out <= 0.5:
        raise UserError(f"a share of {wanted.held_out:g} to hold out: the gate needs more than 0, and at most 0.5")
    if wanted.machines > 1 and settings.runner != "kubernetes":
        raise UserError(
            f"{wanted.machines} machines: several are for trainings in pods; set IMAGE_RETRIEVAL_RUNNER=kubernetes, or "
            "ask for one machine"
        )
    if isinstance(options, PairOptions):
        pair_requests.require_sound(options, wanted.against, wanted.machines * wanted.gpus)
        return
    if options.start == RANDOM and options.method == "continue":
        raise UserError("method continue goes on from a model: state one as the start, or choose another method")
    if options.start != RANDOM and options.backbone:
        raise UserError(f"backbone {options.backbone!r} is for a start from {RANDOM!r}: a model has its own")
    parts = wanted.machines * wanted.gpus * options.accumulate
    if options.batch_size % parts or options.batch_size // parts < 2:
        raise UserError(
            f"a batch of {options.batch_size} does not divide into {parts} parts of at least 2 pictures "
            f"(machines {wanted.machines}, GPUs {wanted.gpus}, accumulate {options.accumulate})"
        )


def _require_free(connection: Connection, name: str, place: str, settings: Settings) -> None:
    """Raise UserError if another model has the name."""
    known = models.find_model(connection, name)
    entries = listed_collections(settings, missing_ok=True).values()
    declared = {entry.model.name: f"{entry.model.source.rstrip('/')}/" for entry in entries}
    others = {known.source if known else place, declared.get(name, place)} - {place}
    if others:
        raise UserError(f"there is a model {name!r} already, of {sorted(others)[0]}: give the new model another name")


def _shown(connection: Connection, name: str, settings: Settings) -> Shown:
    found = find_shown(connection, settings, name, missing_ok=True)
    if found is None:
        raise UserError(
            f"{name!r} is neither a collection that has images nor the URI of an index file: "
            "see `image-retrieval collections list`"
        )
    return found


def _started(options: Kind, source: str, shown: Shown | None) -> Kind:
    if options.start:
        return options
    if shown is None:
        raise UserError(f"a start is needed, since {source} shows no model: state a model, or {RANDOM!r}")
    return replace(options, start=shown.model.source, revision=shown.model.revision)


def _judged_against(wanted: Wanted, options: Options, shown: Shown | None) -> ModelOptions:
    """The model to judge against, as the collection loads it, or as the training starts from it."""
    if isinstance(options, PairOptions):
        return ModelOptions(name="given", source=options.start, revision=options.revision)
    if shown and wanted.against in (None, shown.model.source):
        return shown.model
    source = wanted.against or options.start
    return ModelOptions(name="given", source=source, revision=options.revision if source == options.start else None)


def _require_trainable(options: TrainingOptions, settings: Settings) -> None:
    found = describe(model_folder(options.start, options.revision, settings, weights=False))
    if found.family not in TRAINED_FAMILIES:
        raise UserError(
            f"model {options.start} is of type {found.model_type!r}, a {found.family.replace('_', ' ')}: training "
            "starts from a vision transformer, a ResNet, a Swin or another backbone of pictures alone"
        )


def _require_enough(training: Begun, settings: Settings) -> None:
    if pair_requests.is_of_pairs(training):
        of_file = is_pair_file(training.source)
        found = candidates_of(training, settings) if not of_file else ()
        pair_requests.require_pictures(
            training, pair_requests.pictures_of(training.source, settings) if of_file else len(found)
        )
        return
    images, batch = len(candidates_of(training, settings)), options_of(training).batch_size
    learnt, least = round(images * (1 - training.settings["held_out"])), max(FEWEST, batch)
    if learnt < least:
        raise UserError(
            f"{training.source} has {images} images, of which about {learnt} are to learn from: at least {least} are "
            f"needed, with batches of {batch}"
        )
