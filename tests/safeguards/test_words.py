"""Names that say nothing, machines that say too much, packages that hide what they hold."""

import ast
import re

import pytest

from tests.safeguards.sources import ROOT, modules, name, tree

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "core", "base"}
SPEC_BASE = "pricon/spec/base.py"
"""The one base class of all parts of a job file; there, `base` is the whole truth."""

TEXTS = (".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".sh")
MACHINE_PATH = re.compile(r"(?<![\w.{}])/(?:home|root|Users|work|mnt/data)/\w")


def test_module_names_say_what_they_hold() -> None:
    empty = {name(path) for path in modules("pricon", "tests") if path.stem in EMPTY_NAMES}
    assert empty - {SPEC_BASE} == set()


def test_no_file_names_a_path_of_somebody_s_machine() -> None:
    folders = ("pricon", "tests", "jobs", "deploy", "helm", ".ci")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    texts = [
        p for p in files if p.is_file() and (p.suffix in TEXTS or p.name in ("Makefile", "run"))
    ]
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def test_sources_are_plain_ascii() -> None:
    strange = [name(path) for path in modules("pricon") if not path.read_bytes().isascii()]
    assert strange == []


@pytest.mark.parametrize(
    "path", [path for path in modules("pricon") if path.name == "__init__.py"], ids=name
)
def test_a_package_holds_only_its_docstring(path: object) -> None:
    from pathlib import Path

    assert isinstance(path, Path)
    body = tree(path).body
    assert ast.get_docstring(tree(path)), "says what the package is for"
    rest = [ast.unparse(node) for node in body[1:]]
    if name(path) == "pricon/__init__.py":
        assert [line.split(" = ")[0] for line in rest] == ["__version__"]
    else:
        assert rest == []
