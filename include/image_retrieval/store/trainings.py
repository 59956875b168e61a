"""Trainings: what each learns from, its state, and what came of it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_column, fetch_optional
from image_retrieval.store.sql import statement

State = Literal["packing", "training", "gating", "passed", "undecided", "refused", "collapsed", "failed"]
Decision = Literal["approved", "rejected"]
UNDER_WAY: tuple[State, ...] = ("packing", "training", "gating")
MOST = 200  # rows of a list


@dataclass(frozen=True, slots=True)
class Begun:
    """A training as it begins. `settings` is JSON; `pack` and `model` are folders that end in `/`."""

    name: str
    source: str
    method: str
    start: str
    against: str
    settings: Any
    pack: str
    model: str


@dataclass(frozen=True, slots=True)
class Training(Begun):
    """A training: columns of `retrieval.training`. `figures` and `gate` are JSON, or None as long as there are none."""

    state: State
    reason: str | None
    figures: Any
    gate: Any
    decision: Decision | None
    run_id: str
    started_at: datetime
    changed_at: datetime

    @property
    def begun(self) -> Begun:
        """The same as it began."""
        return Begun(
            self.name, self.source, self.method, self.start, self.against, self.settings, self.pack, self.model
        )


@dataclass(frozen=True, slots=True)
class ListedTraining:
    """A training in a list; `gated` is the gate's decision."""

    name: str
    source: str
    method: str
    start: str
    against: str
    state: State
    reason: str | None
    figures: Any
    gated: str | None
    decision: Decision | None
    run_id: str
    started_at: datetime
    changed_at: datetime


def begin(connection: Connection, training: Begun, run_id: str) -> None:
    """Write the row of a new training; an existing row of that name stays."""
    row = asdict(training) | {"settings": Jsonb(training.settings), "run_id": run_id}
    connection.execute(statement("trainings", "begin"), row)


def take_up(connection: Connection, name: str, run_id: str) -> None:
    """Record the run that goes on with a training."""
    connection.execute(statement("trainings", "take_up"), {"name": name, "run_id": run_id})


def find_training(connection: Connection, name: str) -> Training | None:
    """The training of a name, or None."""
    return fetch_optional(connection, Training, statement("trainings", "find"), {"name": name})


def list_trainings(connection: Connection, limit: int = MOST) -> list[ListedTraining]:
    """The trainings, the latest first."""
    return fetch_all(connection, ListedTraining, statement("trainings", "list"), {"limit": limit})


def advance(connection: Connection, name: str, state: State, reason: str | None = None) -> None:
    """Record that a training has come to a state, and why; one that was judged stays as it is."""
    connection.execute(statement("trainings", "advance"), {"name": name, "state": state, "reason": reason})


def write_figures(connection: Connection, name: str, figures: Any) -> None:
    """Record the figures of a finished training."""
    connection.execute(statement("trainings", "write_figures"), {"name": name, "figures": Jsonb(figures)})


def write_gate(connection: Connection, name: str, gate: Any, state: State, reason: str) -> None:
    """Record the report of the gate, and the state that follows from it."""
    row = {"name": name, "gate": Jsonb(gate), "state": state, "reason": reason}
    connection.execute(statement("trainings", "write_gate"), row)


def decide(connection: Connection, name: str, decision: Decision) -> None:
    """Record what a person said."""
    connection.execute(statement("trainings", "decide"), {"name": name, "decision": decision})


def lock_training(connection: Connection, name: str) -> Training | None:
    """The training of a name, whose row nobody else changes until the transaction ends; or None."""
    connection.execute(statement("trainings", "lock"), {"name": name})
    return find_training(connection, name)


def forget(connection: Connection, name: str) -> None:
    """Remove a training's row."""
    connection.execute(statement("trainings", "forget"), {"name": name})


def forget_model(connection: Connection, training: Training) -> None:
    """Remove the model of a training, if no collection has ever switched to it."""
    connection.execute(statement("trainings", "forget_model"), {"name": training.name, "folder": training.model})


def collections_under(connection: Connection, training: Training) -> list[str]:
    """The collections that show the model of a training, keep vectors of it, or are being switched to it."""
    row = {"name": training.name, "folder": training.model}
    return fetch_column(connection, statement("trainings", "collections_under"), row)


def trainings_that_need(connection: Connection, folder: str) -> list[str]:
    """The trainings under way that start from the model in a folder, or are judged against it."""
    row = {"folder": folder, "under_way": list(UNDER_WAY)}
    return fetch_column(connection, statement("trainings", "that_need"), row)


def trainings_of(connection: Connection, source: str) -> list[Training]:
    """The trainings that learn from a collection, or an index file."""
    return fetch_all(connection, Training, statement("trainings", "of_source"), {"source": source})
