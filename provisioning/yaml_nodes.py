"""From YAML nodes to data: lines, duplicate keys, merges and tags are seen to here, and aliases are bounded."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from provisioning.errors import ConfigurationError
from provisioning.yaml_document import Document, KeyPath, Opaque, Unsafe

MAX_NODES = 100_000  # after aliases: a few lines of YAML can stand for billions of values
MAX_DEPTH = 60
MAX_PLAIN = (
    100  # characters of a number or a date: PyYAML takes minutes for `1:1:1:…`, Python refuses to print the rest
)
STANDARD = "tag:yaml.org,2002:"
SCALARS = frozenset(STANDARD + kind for kind in ("null", "bool", "int", "float", "str", "timestamp"))
KINDS = frozenset(("binary", "omap", "pairs", "set", "seq", "map", *(kind.removeprefix(STANDARD) for kind in SCALARS)))
MERGE, VALUE = STANDARD + "merge", STANDARD + "value"
ENCRYPTED = frozenset(("!vault", "!vault-encrypted"))
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Builder:
    """Turns nodes into data, and counts: every alias counts as often as it is used."""

    def __init__(self, document: Document) -> None:
        """Lines, texts and problems go into `document`."""
        self.document = document
        self.count = 0
        self.reported: set[int] = set()
        self.constructor = SafeConstructor()

    def build(self, node: yaml.Node, path: KeyPath, unsafe: bool = False) -> Any:
        """The data of a node that lies at `path`. Raises ConfigurationError where there is too much of it."""
        self._bound(len(path))
        unsafe = unsafe or node.tag == "!unsafe"
        if node.tag in ENCRYPTED:
            return Opaque(node.tag)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, unsafe)
        kind = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag not in (STANDARD + kind, "!unsafe"):
            return self._foreign(node, path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, unsafe)
        return [self._item(item, (*path, str(index)), unsafe) for index, item in enumerate(node.value)]

    def _bound(self, depth: int) -> None:
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            bound = f"{MAX_NODES} values" if self.count > MAX_NODES else f"{MAX_DEPTH} levels"
            cause = f"It holds more than {bound} once its aliases (*name) are filled in."
            raise ConfigurationError(f"{self.document.label} is too large", cause=cause)

    def _item(self, node: yaml.Node, path: KeyPath, unsafe: bool) -> Any:
        self.document.lines[path] = node.start_mark.line + 1
        return self.build(node, path, unsafe)

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath, unsafe: bool) -> Any:
        tag = node.tag
        if tag == "!unsafe":
            tag = LOADER.resolve(LOADER(""), yaml.ScalarNode, node.value, (not node.style, False))
        if tag not in SCALARS and tag != VALUE:
            return self._foreign(node, path)
        self.document.texts[path] = node.value
        if tag in (STANDARD + "str", VALUE):
            return Unsafe(node.value) if unsafe else node.value
        try:
            if len(node.value) <= MAX_PLAIN:
                return SafeConstructor.yaml_constructors[tag](self.constructor, node)
        except (ValueError, LookupError, AttributeError, OverflowError):
            pass  # a tag that says that it is one, and it is not: PyYAML fails as it happens to
        # It is not shown: it may be a password.
        self._report(node, path, f"is no valid {tag.removeprefix(STANDARD)}; quote it if it is text")
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, unsafe: bool) -> dict[Hashable, Any]:
        data: dict[Hashable, Any] = {}
        for key_node, value_node in self._pairs(node, path, 0):
            key = self._scalar(key_node, path, False) if isinstance(key_node, yaml.ScalarNode) else key_node
            if isinstance(key, (Opaque, yaml.Node)):
                self._report(key_node, path, "a key should be plain text")
                continue
            below = (*path, str(key))
            self.document.lines[below] = key_node.start_mark.line + 1
            data[key] = self.build(value_node, below, unsafe)
        self._find_duplicates(node, path)
        return data

    def _pairs(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> list[tuple[yaml.Node, yaml.Node]]:
        """The entries, those merged with `<<` first, so that the mapping's own win."""
        self._bound(depth)
        own: list[tuple[yaml.Node, yaml.Node]] = []
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if key.tag != MERGE:
                own.append((key, value))
                continue
            for source in reversed(value.value if isinstance(value, yaml.SequenceNode) else [value]):
                if isinstance(source, yaml.MappingNode):
                    merged += self._pairs(source, path, depth + 1)
                else:
                    self._report(key, path, "<<: can only merge mappings")
        self.count += len(merged)
        return merged + own

    def _find_duplicates(self, node: yaml.MappingNode, path: KeyPath) -> None:
        first: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                same = first.setdefault((key.tag, key.value), key)
                if same is not key:
                    self._report(key, (*path, key.value), f"is given twice, first on line {same.start_mark.line + 1}")

    def _foreign(self, node: yaml.Node, path: KeyPath) -> Opaque:
        # Only YAML's own are shown: text that begins with ! is a tag, too, and may be a password.
        named = (
            f"the tag !!{known}"
            if (known := _of_yaml(node.tag))
            else "a tag (what begins with !; quote it if it is text)"
        )
        self._report(node, path, f"{named} is not supported (only !vault and !unsafe are)")
        return Opaque("")

    def _report(self, node: yaml.Node, path: KeyPath, words: str) -> None:
        """Once a node, however many aliases lead to it."""
        if id(node) not in self.reported:
            self.reported.add(id(node))
            self.document.problems.append(self.document.describe(path, words, node.start_mark.line + 1))


def _of_yaml(tag: str) -> str:
    """The name of a tag of YAML itself, or of Python's objects in it; "" for any other."""
    name = tag.removeprefix(STANDARD)
    return name if name != tag and (name in KINDS or name.startswith("python/")) else ""
