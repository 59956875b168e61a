"""A collection under a model, and the names of its objects in the database."""

import re
from dataclasses import dataclass

# suffixes that PostgreSQL and store/indexing.py add to a vector table's name: all relations of a schema share names
ADDED = re.compile(r"(_(pkey|hnsw[12]?))+$")


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """The vectors of one collection under one model, which can be compared with each other.

    Nothing else builds the names below. Two spaces may need the same names (`shop` under `eu_v2`, `shop_eu` under
    `v2`): `retrieval.vector_space` assigns them to the first, and `store.vector_tables` refuses the second.
    """

    collection: str
    model: str

    @property
    def vector_table(self) -> str:
        """Name, in schema `retrieval`, of the table of its vectors."""
        return f"vector_{self._joined}"

    @property
    def view(self) -> str:
        """Name, in schema `retrieval`, of the view that shows its vectors, whatever `images.<collection>` shows."""
        return f"images_{self._joined}"

    @property
    def matching(self) -> str:
        """Name, in schema `retrieval`, of the view of the collection's images with their ids, without vectors."""
        return f"matching_{self._joined}"

    @property
    def index(self) -> str:
        """Name, in schema `retrieval`, of the index on its vectors."""
        return f"{self.vector_table}_hnsw"

    @property
    def functions(self) -> tuple[str, str]:
        """Names, in schema `retrieval`, of the functions that search without a filter: by a vector, and with words."""
        return f"nearest_{self._joined}", f"hybrid_{self._joined}"

    @property
    def relations(self) -> tuple[str, ...]:
        """Every name that it may use for tables, indexes and views of schema `retrieval`."""
        indexes = (f"{self.vector_table}_pkey", *(f"{self.index}{built}" for built in ("", "1", "2")))
        sides = (self.matching, f"vectors_{self._joined}")
        return self.vector_table, *indexes, self.view, *sides

    @property
    def stem(self) -> str:
        """The unique part of its names, as in `retrieval.vector_space.stem`."""
        return ADDED.sub("", self.vector_table)

    @property
    def _joined(self) -> str:
        return f"{self.collection}_{self.model}"
