"""Writes generated recordings in each of RECOLA's layouts, with their quirks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pricon.corpus.generate_world import (
    Floats,
    Sensor,
    World,
    draw_sensor,
    draw_sources,
    draw_world,
    rate,
)
from pricon.spec.corpus import Affect, GenerateSpec, RecolaLayout

_FRAME_S = 0.04
_NUM_FRAMES = 7501
_AFFECTS: tuple[Affect, ...] = ("arousal", "valence")
_RATERS = ("FM1 ", "FM2 ", "FM3 ", "FF1 ", "FF2 ", "FF3 ")
_FULL_SCALE = 4.0
_NAMES = {
    "audio": [f"ComParE13_LLD_25Hz_mfcc_sma[{index}]_amean" for index in range(1, 20)]
    + ["audio_speech_probability_lstm_vad "],
    "video": [f"VIDEO_40_LLD_AU{index}" for index in range(1, 15)] + ["Face_detection_probability"],
    "ecg": [f"ECG_54_LLD_{index}" for index in range(1, 9)],
    "eda": [f"EDA_62_LLD_{index} " for index in range(1, 9)],
}
_RELEASE_FOLDERS = {
    "audio": "RECOLA-Audio-features",
    "video": "RECOLA-Video-features",
    "ecg": "RECOLA-Biosignals-features/ECG",
    "eda": "RECOLA-Biosignals-features/EDA",
}
_AVEC_FOLDERS = {
    "audio": ("features_audio",),
    "video": ("features_video_appearance", "features_video_geometric"),
    "ecg": ("features_ECG", "features_HRHRV"),
    "eda": ("features_EDA", "features_SCL", "features_SCR"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """One person's session as columns of text: features of a modality, raters of an affect."""

    features: Mapping[str, list[list[str]]]
    raters: Mapping[Affect, list[list[str]]]
    gold: Mapping[Affect, list[str]]


def generate_recola(source: Path, generate: GenerateSpec, layout: RecolaLayout) -> None:
    """Write one session of 300 s a participant into an existing folder.

    Args:
        source: the folder.
        generate: size, seed and signals; audio is the available modality.
        layout: which of the three (`pricon.corpus.adapters.recola_layouts`). In `avec` the first
            half of the participants is `train`, the others are `dev`.
    """
    for_world, for_people = np.random.SeedSequence(generate.seed).spawn(2)
    rng = np.random.default_rng(for_world)
    worlds = {affect: draw_world(rng, generate) for affect in _AFFECTS}
    sensors = {
        (modality, affect): draw_sensor(
            rng,
            worlds[affect],
            num_features=len(names),
            privileged=modality != "audio",
            signal=generate.available_signal if modality == "audio" else generate.privileged_signal,
        )
        for modality, names in _NAMES.items()
        for affect in _AFFECTS
    }
    for number, seed in enumerate(for_people.spawn(generate.participants)):
        recording = _record(np.random.default_rng(seed), worlds, sensors)
        match layout:
            case "merged":
                _write_merged(source, f"P{number + 16}", recording)
            case "release":
                _write_release(source, f"P{number + 16}", recording)
            case "avec":
                half = (generate.participants + 1) // 2
                who = f"train_{number + 1}" if number < half else f"dev_{number - half + 1}"
                _write_avec(source, who, recording)


def _record(
    rng: np.random.Generator,
    worlds: Mapping[Affect, World],
    sensors: Mapping[tuple[str, Affect], Sensor],
) -> _Recording:
    """A session; a feature is the sum of what its sensor sees of arousal and of valence."""
    sources = {
        affect: draw_sources(rng, world, _NUM_FRAMES, _FRAME_S) for affect, world in worlds.items()
    }
    features: dict[str, list[list[str]]] = {}
    for modality in _NAMES:
        total: Floats = np.zeros(())
        for affect, source in sources.items():
            seen = [source.shared] if modality == "audio" else [source.shared, source.private]
            factors = np.concatenate(seen, axis=1)
            total = total + sensors[modality, affect].record(rng, factors, _FRAME_S)
        features[modality] = _columns(total)
    raters: dict[Affect, list[list[str]]] = {}
    gold: dict[Affect, list[str]] = {}
    for affect, source in sources.items():
        traces = [rate(rng, worlds[affect], source.affect, _FRAME_S) / _FULL_SCALE for _ in _RATERS]
        rated = np.clip(np.stack(traces, axis=1), -1, 1)
        raters[affect] = _columns(rated)
        gold[affect] = _columns(np.median(rated, axis=1)[:, None])[0]
    return _Recording(features=features, raters=raters, gold=gold)


def _write_merged(source: Path, who: str, recording: _Recording) -> None:
    header = ["", "time in seconds"]
    columns = [[str(index) for index in range(_NUM_FRAMES)], _times()]
    for modality, names in _NAMES.items():
        header += names
        columns += recording.features[modality]
    header.append("frame_path")
    columns.append([f"frames/{who}/{index}.png" for index in range(_NUM_FRAMES)])
    for axis, affect in zip("xy", _AFFECTS, strict=True):
        header += [f"{rater}_{axis}" for rater in _RATERS]
        columns += recording.raters[affect]
    _write(source / f"{who}.csv", ",".join(header), columns)


def _write_release(source: Path, who: str, recording: _Recording) -> None:
    for affect in _AFFECTS:
        folder = source / "RECOLA-Annotation" / "emotional_behaviour" / affect
        header = ";".join(["time", *_RATERS])
        _write(folder / f"{who}.csv", header, [_times(), *recording.raters[affect]], ";")
    for modality, names in _NAMES.items():
        header = ";".join(["time in seconds", *names])
        columns = [_times(), *recording.features[modality]]
        _write(source / _RELEASE_FOLDERS[modality] / f"{who}.csv", header, columns, ";")


def _write_avec(source: Path, who: str, recording: _Recording) -> None:
    instance = [f"'{who}'"] * _NUM_FRAMES
    for affect in _AFFECTS:
        path = source / "ratings_gold_standard" / affect / f"{who}.arff"
        attributes = ["Instance_name string", "frameTime numeric", "GoldStandard numeric"]
        header = _arff_header("GoldStandard", attributes)
        _write(path, header, [instance, _times(), recording.gold[affect]])
        for modality, folders in _AVEC_FOLDERS.items():
            own = recording.features[modality]
            for number, folder in enumerate(folders):
                columns = own[number :: len(folders)]
                names = [f"{folder}_{index}" for index in range(len(columns))]
                attributes = ["name string", "frameTime numeric"]
                attributes += [f"{name} numeric" for name in names]
                path = source / folder / affect / f"{who}.arff"
                _write(path, _arff_header(folder, attributes), [instance, _times(), *columns])


def _arff_header(relation: str, attributes: Sequence[str]) -> str:
    lines = [f"@relation {relation}", "", *(f"@attribute {text}" for text in attributes), ""]
    return "\n".join([*lines, "@data"])


def _write(path: Path, header: str, columns: Sequence[Sequence[str]], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        file.writelines(delimiter.join(cells) + "\n" for cells in zip(*columns, strict=True))


def _times() -> list[str]:
    return [f"{index * _FRAME_S:.2f}" for index in range(_NUM_FRAMES)]


def _columns(values: Floats) -> list[list[str]]:
    return [[f"{value:.4f}" for value in column] for column in values.T.tolist()]
