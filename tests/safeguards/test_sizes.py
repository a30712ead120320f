"""Files and functions stay short enough to be read at once.

Docstrings do not count towards a function. A file of tests is a list and may be longer.
"""

import ast
from collections.abc import Iterator

from tests.safeguards.sources import modules, name, tree

FILE_LINES = 300
FUNCTION_LINES = 50

EXCEPTIONS: frozenset[str] = frozenset()
"""Files and `file::function`s that may be longer. The list may only shrink."""


def too_long() -> Iterator[str]:
    for path in modules("pricon", "tests"):
        is_test = path.parts[-1].startswith("test_")
        if not is_test and len(path.read_text(encoding="utf-8").splitlines()) > FILE_LINES:
            yield name(path)
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                start = node.body[0].lineno if ast.get_docstring(node) is None else _after_doc(node)
                if (node.end_lineno or 0) - start + 1 > FUNCTION_LINES:
                    yield f"{name(path)}::{node.name}"


def _after_doc(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """First line of the body below the docstring, which a reader may skip."""
    return (node.body[0].end_lineno or node.lineno) + 1


def test_nothing_is_longer_than_agreed() -> None:
    assert {*too_long()} - EXCEPTIONS == set()


def test_exceptions_are_still_needed() -> None:
    assert EXCEPTIONS - {*too_long()} == set()
