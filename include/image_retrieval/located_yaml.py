"""Reads YAML, records the line of each value, and refuses duplicate keys."""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path = tuple[str | int, ...]
MOST_VALUES = 100_000  # after following aliases: a few lines of them can stand for billions
YAML = "tag:yaml.org,2002:"
TEXT, MERGE = YAML + "str", YAML + "merge"
KINDS = {"bool": "a truth value", "null": "null", "int": "a number", "float": "a number", "timestamp": "a date"}
SCALARS = {TEXT, *(YAML + kind for kind in KINDS)}


class Misread(ValueError):
    """A document that is not YAML, or has a duplicate key; the message names the line."""


class Located:
    """A document of plain values, and the line of each, from 1, by its path of keys and indexes."""

    def __init__(self, text: str) -> None:
        """Read one document. Raises Misread."""
        self._lines: dict[Path, int] = {}
        self._scalars = yaml.constructor.SafeConstructor()
        try:
            root = yaml.compose(text, yaml.SafeLoader)
            _require_few(root)
            self.document: Any = None if root is None else self._value(root, ())
        except (yaml.YAMLError, RecursionError) as error:
            raise Misread(f"not YAML: {' '.join(str(error).split())}") from None

    def line(self, path: Path) -> int:
        """The line of a value, or of the nearest existing value around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _value(self, node: Node, path: Path) -> Any:
        self._lines.setdefault(path, _line(node))
        if isinstance(node, MappingNode) and node.tag == YAML + "map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == YAML + "seq":
            return [self._value(child, (*path, number)) for number, child in enumerate(node.value)]
        if not isinstance(node, ScalarNode) or node.tag not in SCALARS:
            raise Misread(f"line {_line(node)}: not YAML of plain values: a tag such as {node.tag!r} is not allowed")
        _require_text(node)
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, TypeError, OverflowError, AttributeError):
            kind = KINDS.get(node.tag.removeprefix(YAML), "text")
            raise Misread(f"line {_line(node)}: not YAML: {_shown(node.value)} is not {kind}") from None

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[MappingNode] = []
        first: dict[str, int] = {}
        for key, value in node.value:
            name = _name(key)
            if name in first:
                raise Misread(f"line {_line(key)}: {_shown(name)} was already given in line {first[name]}")
            first[name] = _line(key)
            if key.tag == MERGE:
                merged += _merged(value)
                continue
            self._lines.setdefault((*path, name), _line(key))
            found[name] = self._value(value, (*path, name))
        for other in merged:  # the mapping's own values take precedence, then the first merged mapping
            for name, value in self._mapping(other, path).items():
                found.setdefault(name, value)
        return found


def _name(key: Node) -> str:
    """A key as text. Raises Misread if YAML reads it as something else."""
    if not isinstance(key, ScalarNode):
        raise Misread(f"line {_line(key)}: a key is a word, not a list or a mapping")
    _require_text(key)
    if key.tag in (TEXT, MERGE):
        return str(key.value)
    if not key.value:
        raise Misread(f"line {_line(key)}: a key is missing before the colon")
    kind, shown = KINDS.get(key.tag.removeprefix(YAML), "something else"), _shown(key.value)
    raise Misread(f"line {_line(key)}: {shown} as a key is {kind} to YAML: write it in quotes, as {shown}")


def _require_text(node: ScalarNode) -> None:
    """Raise Misread for characters that neither a database nor a file accepts; escapes can create them."""
    if re.search("[\0\ud800-\udfff]", node.value):
        raise Misread(f"line {_line(node)}: {_shown(node.value)} holds an invalid character")


def _merged(value: Node) -> Iterator[MappingNode]:
    for node in value.value if isinstance(value, SequenceNode) else [value]:
        if not isinstance(node, MappingNode):
            raise Misread(f"line {_line(node)}: not YAML: << can only merge mappings")
        yield node


def _require_few(root: Node | None) -> None:
    """Raise Misread if a document contains itself, or has more than MOST_VALUES values after following aliases."""
    sizes: dict[int, int] = {}
    within: set[int] = set()

    def size(node: Node) -> int:
        if id(node) in within:
            raise Misread(f"line {_line(node)}: not YAML of plain values: it contains itself")
        if id(node) not in sizes:
            within.add(id(node))
            pairs = node.value if isinstance(node, MappingNode) else ()
            children = node.value if isinstance(node, SequenceNode) else [part for pair in pairs for part in pair]
            sizes[id(node)] = 1 + sum(map(size, children))
            within.discard(id(node))
        return sizes[id(node)]

    if root is not None and size(root) > MOST_VALUES:
        raise Misread(f"its aliases stand for more than {MOST_VALUES} values")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:80] + "…")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
