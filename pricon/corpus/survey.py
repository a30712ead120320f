"""What a corpus would hold, found out before anything of it is written: all but features.

A survey reads annotation and clocks, so it meets what is wrong with recordings, and with a job on
them, at a fraction of the cost of a build.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pricon.corpus.index import WindowIndex, as_index, number_columns
from pricon.corpus.modalities import Modality, split_features
from pricon.corpus.rows import Rows
from pricon.corpus.session import Adapter, Unit
from pricon.corpus.windows import cut
from pricon.errors import CorpusError
from pricon.plan.summary import CorpusSummary, RecordedSession
from pricon.spec.corpus import Affect, CorpusSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Recordings as the corpus built from them would show them.

    Args:
        summary: sessions and modalities; no digest, and no hashes of sessions.
        num_windows: of each session.
        table: index columns of all windows.
        trace_mean: session -> affect -> mean of its whole trace.
    """

    summary: CorpusSummary
    num_windows: tuple[int, ...]
    table: pa.Table
    trace_mean: Mapping[str, Mapping[Affect, float]]

    def index(self, stimuli: tuple[str, ...] = ()) -> WindowIndex:
        """All windows of these stimuli (none named: of all), in the order of the corpus."""
        chosen = stimuli or self.summary.stimuli
        sessions = self.summary.sessions
        of = np.repeat(np.arange(len(sessions)), self.num_windows)
        rows = np.flatnonzero(np.array([one.stimulus in chosen for one in sessions])[of])
        columns = number_columns(self.summary.affects)
        numbers = {name: self.table[name].to_numpy()[rows] for name in columns}
        return as_index(numbers, rows, sessions, of[rows], self.trace_mean)


def survey(adapter: Adapter, spec: CorpusSpec, *, generated: bool) -> Survey:
    """Read everything but features.

    Args:
        adapter: reads the recordings.
        spec: windows and modalities.
        generated: whether a generator wrote the recordings.

    Raises:
        CorpusError: recordings or patterns are wrong: what a build would say, and before it.
    """
    units, modalities = read_headers(adapter, spec)
    rows = Rows((), adapter.affects, spec.shard_windows)
    tables: list[pa.Table] = []
    sessions: list[RecordedSession] = []
    trace_mean: dict[str, Mapping[Affect, float]] = {}
    num_windows: list[int] = []
    stimulus_of: dict[str, str] = {}
    for session in (one for unit in units for one in adapter.sessions(unit, with_features=False)):
        if session.id in stimulus_of:
            raise _twice(session.id)
        stimulus_of[session.id] = session.stimulus
        windows = cut(session, spec.windows)
        if len(windows.t_start_s) == 0:
            continue
        tables += rows.add(session, windows)
        num_windows.append(len(windows.t_start_s))
        trace_mean[session.id] = windows.trace_mean
        sessions.append(
            RecordedSession(
                id=session.id, participant=session.participant, stimulus=session.stimulus
            )
        )
    adapter.check_stimuli({*stimulus_of.values()})
    check_sessions([session.id for session in sessions], spec)
    return Survey(
        summary=CorpusSummary(
            digest="",
            generated=generated,
            modalities=tuple(modality.name for modality in modalities),
            affects=adapter.affects,
            sessions=tuple(sessions),
        ),
        num_windows=tuple(num_windows),
        table=pa.concat_tables([*tables, *rows.rest()]),
        trace_mean=trace_mean,
    )


def read_headers(adapter: Adapter, spec: CorpusSpec) -> tuple[list[Unit], tuple[Modality, ...]]:
    """Units and modalities of the recordings, checked as far as that needs no rows.

    Raises:
        CorpusError: no recordings, names that cannot be told apart, or patterns without features.
    """
    adapter.check_windows(spec.windows)
    units = adapter.units()
    if not units:
        raise CorpusError("there are no recordings to build a corpus from", "see `corpus.source`")
    _check_unit_names(units)
    return units, split_features(spec.modalities or adapter.modalities(), adapter.features())


def check_sessions(names: Sequence[str], spec: CorpusSpec) -> None:
    """Refuse a corpus without windows, or with two sessions of one name (CorpusError)."""
    if not names:
        raise CorpusError(
            "the corpus would be empty: no session is long enough for one window\n"
            f"  `corpus.windows.window_s` is {spec.windows.window_s:g} s, "
            f"`lag_s` {spec.windows.lag_s:g} s",
            "lower `corpus.windows.window_s`",
        )
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise _twice(name)


def _twice(name: str) -> CorpusError:
    return CorpusError(
        f"two sessions are called `{name}`\n  expected the rows of a recording one after another, "
        "and a name of its own for each recording",
        "sort the rows by session and time, or rename one of the two",
    )


def _check_unit_names(units: Sequence[Unit]) -> None:
    name, count = Counter(unit.name for unit in units).most_common(1)[0]
    wrong = [unit.name for unit in units if not re.fullmatch(r"[A-Za-z0-9_-]+", unit.name)]
    if count > 1 or wrong:
        raise CorpusError(
            f"recordings cannot be told apart by the name `{wrong[0] if wrong else name}`\n"
            "  expected names of their own, of letters, digits, `-` and `_`",
            "rename the files",
        )
