"""YAML file -> JobSpec. Owns the words of every error about a job file."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pricon.errors import SpecError
from pricon.spec.job import JobSpec

_Location = tuple[str | int, ...]

_WORDS = {
    "a valid array": "a list",
    "an object": "a mapping",
    "a valid dictionary": "a mapping",
    "String should have": "text of",
}
"""What the validator says -> what a reader of YAML says."""

_END_OF_WORDS = re.compile(r"[;.:](?:\s|$)")


def load_job(path: Path) -> JobSpec:
    """The job that a YAML file describes, every key checked.

    Raises:
        SpecError: the file is missing, not YAML, or says something that a job cannot say; names
            file, line, dotted key, what was expected and the nearest valid name.
    """
    return parse_job(_read(path), str(path))


def parse_job(text: str, name: str) -> JobSpec:
    """The job that a YAML text describes; `name` stands for the file in messages.

    Raises:
        SpecError: as `load_job`.
    """
    document = _parse(text, name)
    try:
        # As JSON, because there strict means what a reader of YAML means: `true` and "1" are no
        # numbers, while a list may become a tuple and 1 a float.
        return JobSpec.model_validate_json(json.dumps(_plain(document), default=str), strict=True)
    except ValidationError as err:
        problems = [_Problem(name, document, details) for details in _innermost(err.errors())]
        problems.sort(key=lambda problem: problem.line)
        message = "\n".join(dict.fromkeys(problem.text(problems) for problem in problems))
        hints = [hint for problem in problems if (hint := problem.hint()) is not None]
        fallback = "`pricon-submit --schema` prints every key that a job file can have"
        raise SpecError(message, hints[0] if hints else fallback) from err


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as err:
        near = sorted(path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        names = [str(file) for file in near]
        close = get_close_matches(str(path), names, n=1) or names[:1]
        hint = (
            f"did you mean `{close[0]}`?"
            if close
            else "give the path of a file such as `jobs/x.yaml`"
        )
        raise SpecError(f"job file not found: {path}", hint) from err
    except (OSError, UnicodeDecodeError) as err:
        raise SpecError(
            f"job file cannot be read: {path}\n  {err}", "it must be a UTF-8 text file"
        ) from err


def _parse(text: str, name: str) -> CommentedMap:
    try:
        document = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark else 1
        problem = str(err.problem).splitlines()[0].replace('"', "`")
        raise SpecError(f"{name}:{line}: not valid YAML: {problem}", "mend this line") from err
    except (YAMLError, ValueError, RecursionError) as err:
        raise SpecError(f"{name}:1: not valid YAML: {err}", "is this a text file?") from err
    if not isinstance(document, CommentedMap):
        raise SpecError(
            f"{name}:1: expected a mapping with keys such as `name` and `corpus`",
            "see `jobs/again_cv.yaml` for a whole job file",
        )
    return document


def _plain(node: Any) -> Any:
    """The document without line numbers; keys become strings."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [_plain(value) for value in node]
    return node


def _innermost(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Findings without those that only follow from one inside: a list of wrong items is "empty"."""
    places = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if not any(
            len(place) > len(error["loc"]) and place[: len(error["loc"])] == error["loc"]
            for place in places
        )
    ]


class _Problem:
    """One finding of the validator, in our words."""

    def __init__(self, name: str, document: CommentedMap, details: ErrorDetails) -> None:
        self.name = name
        self.details = details
        about_a_key = details["type"] in {"missing", "extra_forbidden"}
        self.line, self.path = _locate(document, details["loc"], about_a_key=about_a_key)
        if details["type"] == "value_error":
            error = details["ctx"]["error"]
            said = f"{error} {getattr(error, 'hint', '')}"
            self.line = _first_named(document, self.path, said) or self.line
        self.allowed = tuple(_allowed(details))

    @property
    def dotted(self) -> str:
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text

    def text(self, problems: Sequence["_Problem"]) -> str:
        """What is wrong; one text for all alternatives that a value might have been."""
        where = f"{self.name}:{self.line}:"
        match self.details["type"]:
            case "extra_forbidden":
                found = f"{where} unknown key `{self.dotted}`"
                return f"{found}\n  expected one of: {', '.join(self.allowed)}"
            case "missing":
                return f"{where} missing key `{self.dotted}`"
            case "union_tag_not_found":
                return f"{where} missing key `{self.dotted}.adapter`\n  expected {self._expected()}"
            case "value_error":
                return f"{where} {self.details['ctx']['error']!s}" + self._inside()
        expected = (problem._expected() for problem in problems if problem.path == self.path)
        return f"{where} `{self.dotted}` is {self._shown()}\n  expected {' or '.join(expected)}"

    def _inside(self) -> str:
        return f"\n  in `{self.dotted}`" if self.path else ""

    def _shown(self) -> str:
        text = re.sub(r"//[^/@\s]*@", "//...@", repr(self.details["input"]))  # a password
        return text if len(text) <= 60 else f"{text[:57]}..."

    def _expected(self) -> str:
        if self.allowed:
            return f"one of: {', '.join(self.allowed)}"
        if self.details["type"] == "string_pattern_mismatch":
            return self._described()
        words = self.details["msg"].removeprefix("Input should be ")
        words = words.split(", unable to parse")[0]
        for json_word, word in _WORDS.items():
            words = words.replace(json_word, word)
        return words

    def _described(self) -> str:
        """What a text stands for, by the first words of its documentation, and its form."""
        about = _schema_at(self.details["loc"]).get("description", "")
        words = _END_OF_WORDS.split(about)[0]
        if words[1:2].islower():
            words = words[0].lower() + words[1:]
        form = f"text of the form `{self.details['ctx']['pattern']}`"
        return f"{words}: {form}" if words else form

    def hint(self) -> str | None:
        if self.details["type"] == "value_error":
            return getattr(self.details["ctx"]["error"], "hint", None)
        wrong = str(self.path[-1]) if self.details["type"] == "extra_forbidden" else None
        if self.details["type"] in {"literal_error", "union_tag_invalid"}:
            given = self.details["input"]
            wrong = str(given.get("adapter") if isinstance(given, Mapping) else given)
        near = get_close_matches(wrong, self.allowed, n=1) if wrong else []
        return f"did you mean `{near[0]}`?" if near else None


def _locate(
    document: CommentedMap, location: _Location, *, about_a_key: bool = False
) -> tuple[int, _Location]:
    """Line (from 1) of the deepest part of `location` in the file, and the parts that are keys.

    Pydantic puts the tag of a union into the location; a part that the document does not have is
    such a tag, unless the error is about a key: then the last part is the missing or forbidden one.
    """
    node: Any = document
    line = 1
    path: list[str | int] = []
    for depth, part in enumerate(location):
        is_last = depth == len(location) - 1
        if isinstance(node, CommentedMap) and part in node:
            line = _line_of(node, part) or line
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
            node = node[part]
        elif not (is_last and about_a_key and isinstance(node, CommentedMap | CommentedSeq)):
            continue
        path.append(part)
    return line, tuple(path)


def _first_named(document: CommentedMap, path: _Location, message: str) -> int | None:
    """Line of the first key in backticks that the file has, of an error over several keys."""
    for name in re.findall(r"`([a-z_.]+)(?:: [^`]*)?`", message):
        node: Any = document
        wanted = (*path, *name.split("."))
        for part in wanted:
            is_there = isinstance(node, CommentedMap) and part in node
            if not is_there and not (isinstance(node, CommentedSeq) and isinstance(part, int)):
                break
            node = node[part]
        else:
            return _locate(document, wanted)[0]
    return None


def _line_of(node: CommentedMap, key: str | int) -> int | None:
    """Line of a key, from 1; None where a merge brought it from elsewhere."""
    try:
        return int(node.lc.key(key)[0]) + 1
    except (KeyError, TypeError):
        return None


def _allowed(details: ErrorDetails) -> Iterator[str]:
    """Valid names or values at the place of an error, where there is a closed list of them."""
    match details["type"]:
        case "extra_forbidden":
            yield from _schema_at(details["loc"][:-1]).get("properties", {})
        case "literal_error" | "union_tag_invalid" | "union_tag_not_found":
            node = _schema_at(details["loc"])
            if details["type"] != "literal_error":
                yield from node.get("discriminator", {}).get("mapping", {})
            elif "const" in node:
                yield str(node["const"])
            else:
                yield from map(str, node.get("enum", ()))


def _schema_at(location: _Location) -> dict[str, Any]:
    """The part of the job's JSON Schema that describes what stands at `location`."""
    schema = JobSpec.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        elif part in (mapping := node.get("discriminator", {}).get("mapping", {})):
            node = {"$ref": mapping[part]}
        else:
            node = next((c for c in node.get("anyOf", ()) if "enum" in c), node)
    return {"description": node.get("description", ""), **_resolve(schema, node)}


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What a reference, or something that may also be null, stands for."""
    options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        return _resolve(schema, options[0])
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node
