"""Trainings on texts that a person asks for: what can be wrong with them, their pictures, and their command."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace

import pyarrow as pa

from image_retrieval.errors import UserError
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.packing import PackOptions, pack
from image_retrieval.pipeline.pair_files import pack_pairs, pairs_of
from image_retrieval.settings import Settings
from image_retrieval.store.trainings import Begun
from image_retrieval.training.options import RANDOM
from image_retrieval.training.packs import PackManifest, read_index
from image_retrieval.training.pairs.options import PAIR_METHODS, PairMethod, PairOptions
from image_retrieval.training.pairs.paired import FEWEST, FEWEST_HELD_OUT, read_paired, require_enough
from image_retrieval.training.pairs.texts import is_pair_file
from image_retrieval.training.records import FLAGS

GENERAL = "general/"  # in the folder of the pack: the pictures of a file that is kept apart
LEFT_OUT = ("pack", "method")  # of the command's options: which it has in another way


def is_of_pairs(training: Begun) -> bool:
    """Whether a training learns from pictures with texts."""
    return training.method in PAIR_METHODS


def require_sound(options: PairOptions, against: str | None, processes: int) -> None:
    """Raise UserError for what the request alone tells; `processes`: machines times GPUs."""
    if options.start == RANDOM:
        raise UserError(f"method {options.method} goes on from a model: state one as the start")
    if against is not None and against != options.start:
        raise UserError(f"method {options.method} is judged against its start: leave `against` empty")
    if processes > 1:
        raise UserError(f"method {options.method} trains on one machine with one GPU: ask for one of each")
    unfit = {"general": options.general, "text_only": options.text_only}
    for name, value in unfit.items():
        if options.method == "text" and value:
            raise UserError(f"{name} is for method pairs: with method text, vectors of pictures stay as they are")


def require_start(options: PairOptions, settings: Settings) -> None:
    """Raise UserError if the start is not of the kind that the method goes on from."""
    found = describe(model_folder(options.start, options.revision, settings, weights=False))
    fit: PairMethod = "pairs" if found.image_family == "dual_encoder" else "text"
    if fit != options.method:
        kind = "a dual encoder" if fit == "pairs" else "a model of pictures alone"
        raise UserError(f"model {options.start} is of type {found.model_type!r}, {kind}: choose method {fit}")


def require_general(options: PairOptions, settings: Settings) -> None:
    """Raise UserError if there are no pairs where those that are kept apart should be."""
    if options.general is None:
        return
    if is_pair_file(options.general):
        pairs_of(options.general, settings)
    else:
        read_index(ObjectStore(settings), _folder(options.general), ("caption",))


def require_pictures(training: Begun, count: int) -> None:
    """Raise UserError if so many pictures with texts are too few to learn from and to judge by."""
    taken = min(training.settings["images"] or count, count)
    held_out = round(taken * training.settings["held_out"])
    if taken - held_out < FEWEST or held_out < FEWEST_HELD_OUT:
        raise UserError(
            f"of {taken} pictures of {training.source} with texts, about {taken - held_out} are to learn from and "
            f"{held_out} to judge by: at least {FEWEST} and {FEWEST_HELD_OUT} are needed"
        )


def captioned(found: pa.Table) -> pa.Table:
    """The candidates that have a caption."""
    kept = [at for at, caption in enumerate(found["caption"].to_pylist()) if caption and caption.strip()]
    return found.take(pa.array(kept, pa.int64()))


def pictures_of(source: str, settings: Settings) -> int:
    """How many pictures a file of pairs names. Raises UserError if it cannot be used."""
    return len({pair.uri for pair in pairs_of(source, settings)})


def pack_texts(training: Begun, candidates: Callable[[], pa.Table], settings: Settings) -> PackManifest:
    """Pack the pictures that a training learns from, with their texts, and those that are kept apart.

    Raises UserError if too few could be packed.
    """
    chosen, source = training.settings, training.source
    options = PackOptions(held_out_share=chosen["held_out"], most=chosen["images"], seed=chosen["seed"])
    if is_pair_file(source):
        manifest = pack_pairs(source, pairs_of(source, settings), training.pack, options, settings)
    else:
        manifest = pack(source, training.pack, options, candidates, settings)
    require_enough(read_paired(ObjectStore(settings), training.pack))
    general = chosen["general"]
    if general and is_pair_file(general):
        apart = PackOptions(seed=chosen["seed"])
        pack_pairs(general, pairs_of(general, settings), training.pack + GENERAL, apart, settings)
    return manifest


def command_options(training: Begun) -> PairOptions:
    """The options of `training pairs`."""
    names = {field.name for field in fields(PairOptions)}
    stated = {name: value for name, value in training.settings.items() if name in names}
    options = PairOptions(pack=training.pack, method=training.method, start=training.start, **stated)  # type: ignore[arg-type]
    if options.general is None:
        return options
    own = training.pack + GENERAL
    return replace(options, general=own if is_pair_file(options.general) else _folder(options.general))


def run_arguments(training: Begun) -> list[str]:
    """The arguments of `image-retrieval` that begin a training, or go on with it; a refusal is no failure."""
    flags = []
    for name, value in asdict(command_options(training)).items():
        flag = f"--{FLAGS.get(name, name).replace('_', '-')}"
        if name not in LEFT_OUT and value is not None and value is not False:
            flags.append(flag if value is True else f"{flag}={value}")
    return ["training", "pairs", training.pack, training.model, "--resume", "--exit-zero", *flags]


def _folder(given: str) -> str:
    return given.rstrip("/") + "/"
