"""Which corpus a job reads and how recordings become windows.

Origins in brackets: [A] marks a number that the abstract of PriCon (arXiv 2508.03729) does not
give; C-SCL and C-LUPI are the published codes of its two predecessors, named in the README.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from pricon.spec.base import ContradictionError, Spec
from pricon.spec.resources import Place

Affect = Literal["arousal", "valence"]
RecolaLayout = Literal["merged", "release", "avec"]


def _folder(path: str) -> str:
    if "://" in path:
        raise ContradictionError(
            f"recordings lie in a folder, not at `{path}`",
            "copy them onto this machine; the corpus that is built from them may lie in a bucket",
        )
    return path


_Folder = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$"), AfterValidator(_folder)]


class WindowSpec(Spec):
    """How a session is cut into windows. All values in seconds."""

    window_s: PositiveFloat
    """Length of a window."""

    hop_s: PositiveFloat
    """Distance between the starts of two windows."""

    lag_s: float = Field(0.0, ge=0)
    """How far the input leads the annotation: window [t, t + window_s) of the trace belongs to
    input [t - lag_s, t - lag_s + window_s). Windows whose input would start before 0 are
    dropped."""

    frames: PositiveInt = 1
    """Into how many frames of equal length the input of a window is divided. A window of one frame
    is a vector; one of several is a sequence, for encoders over time (`encoder.kind`), and others
    see the mean of its frames. A corpus grows with this number."""

    pooling: Literal["mean", "last"] = "mean"
    """What a feature of a frame is: the mean of its ticks, or the value at the last of them. [A]
    C-SCL: mean. The trace of a window is always its mean."""

    @property
    def frame_s(self) -> float:
        """Length of a frame, seconds."""
        return self.window_s / self.frames


class GenerateSpec(Spec):
    """A corpus written from a latent-affect model, in the layout of the real one.

    Numbers from it say nothing about people; every report made from it says so in its title.
    """

    layout: RecolaLayout | None = None
    """RECOLA exists in three: one file a participant (`merged`, also null), annotation beside
    features (`release`), ARFF files of the AVEC challenge (`avec`). AGAIN has one layout."""

    into: _Folder | None = None
    """Folder that they are written into, where it does not exist yet; null is
    `runs/recordings/` and the name of the adapter."""

    participants: PositiveInt = 20
    """How many people are generated."""

    session_s: PositiveFloat = 120.0
    """Length of a session, seconds (RECOLA's layout is always 300 s long)."""

    seed: int = Field(0, ge=0)
    """Seed of the generator; the same seed writes the same bytes."""

    privileged_signal: float = Field(1.0, ge=0)
    """Signal-to-noise ratio of the modalities that only the lab records. 0 makes them pure noise:
    a world in which no arm can profit from them."""

    shared_variance: float = Field(0.55, ge=0, le=1)
    """Part of the variance of affect that the available modality could explain at best."""

    rater_noise: float = Field(1.1, ge=0)
    """Standard deviation of a rater's noise, that of affect being 1. The noisier the labels, the
    more a student can learn from a teacher that sees affect better than they tell it."""

    available_signal: float = Field(0.35, ge=0)
    """Signal-to-noise ratio of the modality that is also there in the wild (AGAIN: frames;
    RECOLA: audio)."""


class CorpusSpecBase(Spec):
    """What every corpus has in common."""

    adapter: str
    """Whose files the recordings are."""

    source: _Folder | None = None
    """Folder with the raw recordings. Only needed until the corpus is built from real ones."""

    generate: GenerateSpec | None = None
    """Write recordings first, where there is no `source`; with one, this is not looked at."""

    uri: Place = ""
    """Where the built corpus lies: a folder (relative to where the command runs) or
    `s3://bucket/prefix`. Left out, it is `runs/corpora/` and the name of the folder with the
    recordings."""

    modalities: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Modality name -> patterns of feature names (`*` and `?` as in a shell; a leading `!` takes
    features out again). Empty: the adapter's own modalities."""

    shard_windows: PositiveInt = 8192
    """Most windows in one shard; bounds the memory of a build."""

    @model_validator(mode="after")
    def _has_a_place(self) -> "CorpusSpecBase":
        if not self.uri:
            if self.recordings is None:
                raise ContradictionError(
                    "neither a corpus nor recordings to build one from",
                    "give `source`, the folder with recordings, or `uri`, where the corpus lies",
                )
            self.__dict__["uri"] = f"runs/corpora/{self.recordings.resolve().name}"
        return self

    @property
    def recordings(self) -> Path | None:
        """Folder with the raw recordings, be they real or generated."""
        if self.source is not None:
            return Path(self.source)
        if self.generate is not None:
            return Path(self.generate.into or f"runs/recordings/{self.adapter}")
        return None


class AgainSpec(CorpusSpecBase):
    """AGAIN (Melhart, Liapis, Yannakakis 2021) in its published layout."""

    adapter: Literal["again"]
    windows: WindowSpec = WindowSpec(window_s=3, hop_s=3, lag_s=1)
    """3 s windows every 3 s, input one second ahead of the annotation. [A] Standard of the AGAIN
    papers of the same lab; lag from its ICMI 2023 paper."""

    time_passed: bool = False
    """Keep `general_time_passed` as a feature. Off by default: it tells the time in the
    session, with which arousal drifts, so a model can score without looking at the player."""

    video_offset_s: float = Field(0.0, ge=0)
    """How much earlier the video starts than the annotation: a frame at second v of the video
    belongs to second v - video_offset_s. [A] Videos are about 3 s longer than the annotation, and
    sources disagree at which end: 0 or 3."""

    stimuli: tuple[str, ...] = ()
    """Games to build, by key or name; empty means all that the recordings hold."""

    @model_validator(mode="after")
    def _has_one_layout(self) -> "AgainSpec":
        if self.generate is not None and self.generate.layout is not None:
            raise ValueError("`generate.layout` is for RECOLA; AGAIN has one layout")
        return self


class AgainDerivedSpec(CorpusSpecBase):
    """The AGAIN derivative of Affectively-Environments: telemetry averaged over 3 s windows."""

    adapter: Literal["again_derived"]
    windows: WindowSpec = WindowSpec(window_s=3, hop_s=3, lag_s=0)
    """The recordings come as averages over 3 s, so nothing finer than 3 s can be asked for."""

    stimuli: tuple[str, ...] = ()
    """Games to build (`heist`, `pirates`, `solid`); empty means all that the recordings hold."""


class RecolaSpec(CorpusSpecBase):
    """RECOLA (Ringeval et al. 2013); which of its three layouts is found out from the files."""

    adapter: Literal["recola"]
    windows: WindowSpec = WindowSpec(window_s=4, hop_s=0.4, lag_s=0)
    """4 s windows every 0.4 s, no lag. [A] C-SCL."""

    any_length: bool = False
    """Accept recordings whose number of rows is not 7,501 +/- 1 (5 minutes at 25 Hz)."""


CorpusSpec = Annotated[AgainSpec | AgainDerivedSpec | RecolaSpec, Field(discriminator="adapter")]
