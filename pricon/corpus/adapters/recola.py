"""RECOLA, in whichever of its three layouts: sessions of five minutes at 25 Hz, two affects."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from pricon.corpus.adapters.recola_frames import FRAME_S, MODALITIES, Frames, check_same_length
from pricon.corpus.adapters.recola_layouts import AFFECTS, find_layout
from pricon.corpus.session import Session, Unit
from pricon.corpus.windows import check_frames
from pricon.errors import CorpusError
from pricon.spec.corpus import Affect, RecolaSpec, WindowSpec


class RecolaAdapter:
    """Reads RECOLA.

    Args:
        spec: the corpus as the job describes it.
        source: folder with the recordings.
    """

    affects: tuple[Affect, ...] = AFFECTS

    def __init__(self, spec: RecolaSpec, source: Path) -> None:
        self._source = source
        self._any_length = spec.any_length

    def units(self) -> list[Unit]:
        """One unit a participant.

        Raises:
            CorpusError: the folder has no known layout, no annotation, or not all files that go
                with one.
        """
        layout = find_layout(self._source)
        units = [Unit(name=who, paths=layout.paths(who)) for who in layout.participants()]
        for path in (path for unit in units for path in unit.paths):
            if not path.is_file():
                raise CorpusError(
                    f"{path} is missing: expected a file for every participant and affect",
                    "fetch it again, or remove the participant's other files",
                )
        return units

    def features(self) -> tuple[str, ...]:
        """Features of the first participant; everyone has the same."""
        layout = find_layout(self._source)
        return _names(layout.features(layout.participants()[0]))

    def modalities(self) -> Mapping[str, Sequence[str]]:
        """Those of audio, video, ecg and eda that the files have."""
        features = self.features()
        return {
            modality: [f"{modality}.*"]
            for modality in MODALITIES
            if any(name.startswith(f"{modality}.") for name in features)
        }

    def check_windows(self, windows: WindowSpec) -> None:
        """Refuse frames shorter than a row; at 25 rows a second any window can be cut."""
        check_frames(windows, FRAME_S)

    def check_stimuli(self, found: Collection[str]) -> None:
        """Nothing to refuse: nobody is asked what was shown."""

    def sessions(self, unit: Unit, *, with_features: bool = True) -> Iterator[Session]:
        """The one session of a participant.

        Raises:
            CorpusError: a file is cut, not five minutes at 25 Hz long, or lacks columns that
                others have.
        """
        layout = find_layout(self._source)
        frames = layout.features(unit.name)
        expected, found = self.features(), _names(frames)
        if found != expected:
            odd = sorted({*expected} ^ {*found}) or ["their order"]
            raise CorpusError(
                f"{frames[0].table.path}: not the features of the other participants; differs in "
                f"{len(odd)}, first {odd[0]}"
            )
        channels = tuple(
            some.channel(any_length=self._any_length, with_features=with_features)
            for some in frames
        )
        traces = {
            affect: some.trace(any_length=self._any_length)
            for affect, some in layout.raters(unit.name).items()
        }
        check_same_length(frames, channels, traces.values())
        yield Session(
            id=unit.name,
            participant=unit.name,
            stimulus="recola",
            channels=channels,
            traces=traces,
        )


def _names(frames: Sequence[Frames]) -> tuple[str, ...]:
    return tuple(name for some in frames for name in some.names.values())
