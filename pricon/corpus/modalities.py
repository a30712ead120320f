"""Patterns of feature names -> which columns belong to which modality."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import get_args

from pricon.corpus.index import index_columns
from pricon.errors import CorpusError
from pricon.plan.plan import POSITION
from pricon.spec.corpus import Affect

_TAKEN = {*index_columns(get_args(Affect)), POSITION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """A named feature stream and its feature names, in the order of the recordings."""

    name: str
    features: tuple[str, ...]


def split_features(
    patterns: Mapping[str, Sequence[str]], features: Sequence[str]
) -> tuple[Modality, ...]:
    """The modalities that `patterns` describe, sorted by name.

    Patterns apply in their order, to nothing at first, or to everything where the first one
    starts with `!`. Features that no modality takes are left out of the corpus.

    Raises:
        CorpusError: a pattern matches no feature, a modality holds none or cannot have its name,
            or a feature is in two.

    >>> split_features({"audio": ["a_*", "!a_2"], "heart": ["h"]}, ["a_1", "a_2", "h"])[0].features
    ('a_1',)
    """
    found = tuple(
        Modality(name=name, features=_matching(name, patterns[name], features))
        for name in sorted(patterns)
    )
    owner: dict[str, str] = {}
    for modality in found:
        _check_name(modality.name)
        for feature in modality.features:
            other = owner.setdefault(feature, modality.name)
            if other != modality.name:
                raise CorpusError(
                    f"feature `{feature}` is in two modalities: `{other}` and `{modality.name}`\n"
                    "  expected each feature in one",
                    f"take it out of one: add `!{feature}` to `corpus.modalities.{other}`",
                )
    return found


def _matching(name: str, patterns: Sequence[str], features: Sequence[str]) -> tuple[str, ...]:
    key = f"corpus.modalities.{name}"
    chosen = {*features} if patterns and patterns[0].startswith("!") else set[str]()
    for number, pattern in enumerate(patterns):
        if pattern in patterns[:number]:
            raise CorpusError(
                f"`{pattern}` stands twice in `{key}`", "remove one; patterns apply in their order"
            )
        wanted = pattern.removeprefix("!")
        matched = {feature for feature in features if fnmatchcase(feature, wanted)}
        if not matched:
            raise _unmatched(key, pattern, features)
        chosen = chosen - matched if pattern.startswith("!") else chosen | matched
    if not chosen:
        raise CorpusError(
            f"modality `{name}` holds no feature", f"name at least one feature in `{key}`"
        )
    return tuple(feature for feature in features if feature in chosen)


def _unmatched(key: str, pattern: str, features: Sequence[str]) -> CorpusError:
    wanted = pattern.strip("!*?")
    near = get_close_matches(wanted, features, n=3) or [
        feature for feature in features if wanted[:4].lower() in feature.lower()
    ]
    shown = near[:3] or list(features[:3])
    return CorpusError(
        f"`{pattern}` in `{key}` matches none of the {len(features)} features of these recordings",
        f"{'did you mean' if near else 'they are called'} "
        f"{', '.join(f'`{name}`' for name in shown)}{'?' if near else ', ...'}",
    )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in _TAKEN:
        raise CorpusError(
            f"a modality cannot be called `{name}`\n  expected lower-case letters, digits and `_`, "
            f"and none of: {', '.join(sorted(_TAKEN))}",
            "rename it in `corpus.modalities`",
        )
