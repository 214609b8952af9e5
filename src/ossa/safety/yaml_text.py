"""YAML that may come from anybody: no Python objects, no aliases that unfold without end, no endless numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml import Node, SafeLoader

#: A text may unfold, by its aliases, to so many times its own characters, and to so many in any case.
_UNFOLDS, _ALWAYS = 10, 100_000

#: Characters of a number; PyYAML takes seconds for one of 100,000 ("59:59:...", in base 60).
_NUMBER = 400


def parse_yaml(text: str, loader: type[SafeLoader] | None = None) -> Any:
    """The values of a YAML text, as ``yaml.safe_load`` reads it (or ``loader``, a safe one).

    Aliases may share what they like as long as it stays small when each is written out, which is what messages and
    checks do with it ("billion laughs"). The C reader of PyYAML is not used: deep nesting crashes it.

    Raises yaml.YAMLError, ValueError, and RecursionError for nesting without end.

    >>> from ossa.safety import parse_yaml
    >>> parse_yaml("epochs: 5")
    {'epochs': 5}
    """
    import yaml

    reader = (loader or yaml.SafeLoader)(text)
    try:
        node = reader.get_single_node()
        if node is None:
            return None
        _Counter(max(_ALWAYS, _UNFOLDS * len(text))).size(node)
        return reader.construct_document(node)
    finally:
        reader.dispose()


class _Counter:
    """Counts what a tree of nodes would be with every alias written out; each node is looked at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.known: dict[int, int] = {}

    def size(self, node: Node) -> int:
        """Characters of ``node``; a ComposerError where they are too many, or where it lies within itself."""
        import yaml

        found = self.known.get(id(node))
        if found == 0:
            raise yaml.composer.ComposerError(None, None, "an alias within itself", node.start_mark)
        if found is not None:
            return found
        self.known[id(node)] = 0
        if isinstance(node, yaml.ScalarNode):
            total = 1 + len(node.value)
            if total > _NUMBER and node.tag.rpartition(":")[2] in ("int", "float", "timestamp"):
                raise yaml.composer.ComposerError(None, None, f"a number of {total:,} characters", node.start_mark)
        elif isinstance(node, yaml.MappingNode):
            total = 1 + sum(self.size(key) + self.size(value) for key, value in node.value)
        else:
            total = 1 + sum(self.size(value) for value in node.value)
        if total > self.most:
            problem = f"aliases that unfold to more than {self.most:,} characters"
            raise yaml.composer.ComposerError(None, None, problem, node.start_mark)
        self.known[id(node)] = total
        return total
