"""The three layouts in which RECOLA exists: where each keeps features and annotation.

merged    <source>/P16.csv: time, features and 12 raters in one file
release   <source>/RECOLA-Annotation/emotional_behaviour/{arousal,valence}/P16.csv
          and features anywhere beside it, in files of the same name
avec      <source>/ratings_gold_standard/{arousal,valence}/train_1.arff
          and <source>/features_audio/arousal/train_1.arff, ...
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pricon.corpus.adapters.arff import open_arff
from pricon.corpus.adapters.recola_frames import MODALITIES, Frames, is_time, modality_of
from pricon.corpus.adapters.table import Table, open_table, unique_names
from pricon.errors import CorpusError
from pricon.spec.corpus import Affect

AFFECTS: tuple[Affect, ...] = ("arousal", "valence")
_PARTICIPANT = re.compile(r"P\d+")
_LABELLED = re.compile(r"(train|dev)_\d+")
_MERGED_RATER = re.compile(r"(FM|FF)[1-3] ?_([xy])")
_AXES: dict[str, Affect] = {"x": "arousal", "y": "valence"}
_RATER = re.compile(r"(FM|FF)[1-3]")
_NUM_RATERS = 6
_ANNOTATION = Path("RECOLA-Annotation", "emotional_behaviour")
_GOLD = Path("ratings_gold_standard")
_AVEC_FOLDERS = {
    "features_audio": "audio",
    "features_video_appearance": "video",
    "features_video_geometric": "video",
    "features_ECG": "ecg",
    "features_HRHRV": "ecg",
    "features_EDA": "eda",
    "features_SCL": "eda",
    "features_SCR": "eda",
}
_AVEC_NO_FEATURES = frozenset({"name", "class", "frametime", "timestamp", "instance_name"})


class Layout(Protocol):
    """Where one layout keeps what; nothing here reads rows."""

    def participants(self) -> list[str]:
        """Everyone whose annotation is there, in a fixed order."""
        ...

    def paths(self, participant: str) -> tuple[Path, ...]:
        """All files of one participant, in a fixed order."""
        ...

    def features(self, participant: str) -> list[Frames]:
        """Where their features stand, one entry a file."""
        ...

    def raters(self, participant: str) -> dict[Affect, Frames]:
        """Where their annotation stands."""
        ...


def find_layout(source: Path) -> Layout:
    """The layout that a folder has.

    Raises:
        CorpusError: it has none of the three.
    """
    layouts: tuple[Layout, ...] = (
        Avec(source=source),
        Release(source=source),
        Merged(source=source),
    )
    for layout in layouts:
        if layout.participants():
            return layout
    raise CorpusError(
        f"no recordings of RECOLA in {source}: expected files `P16.csv`, or a folder "
        f"`{_ANNOTATION.as_posix()}`, or a folder `{_GOLD}`, with a file for every participant",
        "`source` is the folder that holds one of these",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """One file a participant; features and raters are told by the names of columns."""

    source: Path

    def participants(self) -> list[str]:
        """Participants by the names of the files."""
        return _stems(self.source, "csv", _PARTICIPANT)

    def paths(self, participant: str) -> tuple[Path, ...]:
        """The one file."""
        return (self.source / f"{participant}.csv",)

    def features(self, participant: str) -> list[Frames]:
        """Columns that a modality claims."""
        return [_by_name(open_table(self.paths(participant)[0]))]

    def raters(self, participant: str) -> dict[Affect, Frames]:
        """Columns such as `FM1 _x`."""
        table = open_table(self.paths(participant)[0])
        found: dict[Affect, dict[int, str]] = {affect: {} for affect in AFFECTS}
        for index, column in enumerate(table.columns):
            match = _MERGED_RATER.fullmatch(column.strip())
            if match is not None:
                found[_AXES[match[2]]][index] = column
        return {
            affect: _six(Frames(table=table, names=names), affect)
            for affect, names in found.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Annotation in a folder of its own, features in files that are told by their columns."""

    source: Path

    def participants(self) -> list[str]:
        """Participants by the names of the arousal files."""
        return _stems(self.source / _ANNOTATION / AFFECTS[0], "csv", _PARTICIPANT)

    def paths(self, participant: str) -> tuple[Path, ...]:
        """Annotation and features."""
        features = (frames.table.path for frames in self.features(participant))
        return (*self._annotation(participant).values(), *features)

    def features(self, participant: str) -> list[Frames]:
        """Files of the participant that have at least one column which a modality claims."""
        annotation = self.source / _ANNOTATION.parts[0]
        files = sorted(self.source.rglob(f"{participant}.csv"))
        tables = (_open_any(path) for path in files if annotation not in path.parents)
        found = [frames for frames in map(_by_name, tables) if frames.names]
        if not found:
            raise CorpusError(
                f"no features of {participant} in {self.source}: expected a file "
                f"`{participant}.csv` beside `{annotation.name}` with columns such as "
                f"`{MODALITIES['audio'][0]}*`"
            )
        return found

    def raters(self, participant: str) -> dict[Affect, Frames]:
        """Columns such as `FM1 `."""
        raters: dict[Affect, Frames] = {}
        for affect, path in self._annotation(participant).items():
            table = open_table(path, ";")
            names = {i: c for i, c in enumerate(table.columns) if _RATER.fullmatch(c.strip())}
            raters[affect] = _six(Frames(table=table, names=names), affect)
        return raters

    def _annotation(self, participant: str) -> dict[Affect, Path]:
        folder = self.source / _ANNOTATION
        return {affect: folder / affect / f"{participant}.csv" for affect in AFFECTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Avec:
    """ARFF files of the AVEC 2016 challenge; a folder says which modality its files are.

    Every feature folder exists twice, tuned for arousal and for valence; the one for arousal is
    read, as windows have one vector of features for both affects. Only `train` and `dev` carry a
    gold standard. Where two folders of a modality name a feature alike, the later one's gets the
    folder into its name (`eda.features_SCL.mean`).
    """

    source: Path

    def participants(self) -> list[str]:
        """`dev_1` to `train_9`, as far as there."""
        return _stems(self.source / _GOLD / AFFECTS[0], "arff", _LABELLED)

    def paths(self, participant: str) -> tuple[Path, ...]:
        """Gold standard and features."""
        return (*self._gold(participant).values(), *self._files(participant).values())

    def features(self, participant: str) -> list[Frames]:
        """All attributes but names, classes and times."""
        found, taken = [], set[str]()
        for folder, path in self._files(participant).items():
            table, names = open_arff(path), {}
            for index, column in enumerate(unique_names(table.columns)):
                if column.lower() in _AVEC_NO_FEATURES:
                    continue
                name = f"{_AVEC_FOLDERS[folder]}.{column}"
                if name in taken:
                    name = f"{_AVEC_FOLDERS[folder]}.{folder}.{column}"
                taken.add(name)
                names[index] = name
            found.append(Frames(table=table, names=names))
        return found

    def raters(self, participant: str) -> dict[Affect, Frames]:
        """The attribute `GoldStandard`."""
        raters: dict[Affect, Frames] = {}
        for affect, path in self._gold(participant).items():
            table = open_arff(path)
            raters[affect] = Frames(table=table, names={table.index_of("GoldStandard"): affect})
        return raters

    def _gold(self, participant: str) -> dict[Affect, Path]:
        return {affect: self.source / _GOLD / affect / f"{participant}.arff" for affect in AFFECTS}

    def _files(self, participant: str) -> dict[str, Path]:
        folders = [folder for folder in _AVEC_FOLDERS if (self.source / folder).is_dir()]
        if not folders:
            raise CorpusError(
                f"no features in {self.source}: expected folders such as `features_audio` beside "
                f"`{_GOLD}`"
            )
        return {
            folder: self.source / folder / AFFECTS[0] / f"{participant}.arff" for folder in folders
        }


def _stems(folder: Path, ending: str, pattern: re.Pattern[str]) -> list[str]:
    """Names of files without their ending, P9 before P16."""
    stems = (path.stem for path in folder.glob(f"*.{ending}"))
    found = [stem for stem in stems if pattern.fullmatch(stem)]
    return sorted(found, key=lambda stem: (re.sub(r"\d+", "", stem), int(re.sub(r"\D", "", stem))))


def _open_any(path: Path) -> Table:
    """A table with `;` or `,` between its cells, whichever makes more columns."""
    tables: Iterator[Table] = (open_table(path, delimiter) for delimiter in ",;")
    return max(tables, key=lambda table: len(table.columns))


def _by_name(table: Table) -> Frames:
    names: dict[int, str] = {}
    for index, column in enumerate(unique_names(table.columns)):
        modality = None if is_time(column) else modality_of(column)
        if modality is not None:
            names[index] = f"{modality}.{column}"
    return Frames(table=table, names=names)


def _six(frames: Frames, affect: Affect) -> Frames:
    if len(frames.names) != _NUM_RATERS:
        raise CorpusError(
            f"{frames.table.path}:1: {len(frames.names)} raters of {affect}, expected "
            f"{_NUM_RATERS}: FM1 to FM3 and FF1 to FF3"
        )
    return frames
