"""Every error about a job file: where, what, what was expected, and the nearest name."""

import pickle
from pathlib import Path
from typing import get_args

import pytest

from pricon.errors import SpecError
from pricon.spec.job import Arm
from pricon.spec.load import load_job, parse_job

JOB = """\
name: tiny
corpus:
  adapter: again
  uri: corpora/tiny
modalities:
  available: [frames]
  privileged: [telemetry]
"""


def refused(text: str) -> SpecError:
    with pytest.raises(SpecError, match=r"^") as caught:
        parse_job(text, "job.yaml")
    return caught.value


def test_a_minimal_job_gets_every_default() -> None:
    job = parse_job(JOB, "job.yaml")
    assert job.modalities.available == (("frames",),)
    assert job.modalities.everything == ("frames", "telemetry")
    assert job.seeds == (0, 1, 2, 3, 4)
    assert job.corpus.windows.lag_s == 1
    assert job.student.distillation.weight == 0.25


@pytest.mark.parametrize(
    ("adapter", "affects", "threshold", "incomplete"),
    [
        ("again", "arousal", "session_mean", "drop"),
        ("recola", "[arousal]", {"arousal": 0.05, "valence": 0.09}, "impute"),
        ("recola", "[arousal, valence]", {"arousal": 0.05, "valence": 0.09}, "impute"),
    ],
)
def test_customs_of_the_corpus_stand_where_the_job_says_nothing(
    adapter: str, affects: str, threshold: dict[str, float] | str, incomplete: str
) -> None:
    text = JOB.replace("adapter: again", f"adapter: {adapter}") + f"affects: {affects}\n"
    job = parse_job(text, "job.yaml")
    assert (job.label.threshold, job.incomplete_features) == (threshold, incomplete)
    own = parse_job(f"{text}label: {{threshold: 0.2}}\nincomplete_features: drop\n", "job.yaml")
    assert (own.label.threshold, own.incomplete_features) == (0.2, "drop")


@pytest.mark.parametrize(
    ("keys", "recordings", "uri"),
    [
        ("source: ../disk/AGAIN/", "../disk/AGAIN", "runs/corpora/AGAIN"),
        ("source: a/b\n  uri: s3://c/d", "a/b", "s3://c/d"),
        ("source: a/b\n  generate: {into: c/d}", "a/b", "runs/corpora/b"),
        ("generate: {into: c/d}", "c/d", "runs/corpora/d"),
        ("generate: {}", "runs/recordings/again", "runs/corpora/again"),
        ("uri: c/d", None, "c/d"),
    ],
)
def test_where_recordings_and_corpus_lie(keys: str, recordings: str | None, uri: str) -> None:
    corpus = parse_job(JOB.replace("uri: corpora/tiny", keys), "job.yaml").corpus
    assert corpus.recordings == (None if recordings is None else Path(recordings))
    assert corpus.uri == uri


def test_neither_corpus_nor_recordings() -> None:
    error = refused(JOB.replace("  uri: corpora/tiny\n", ""))
    assert error.message == (
        "job.yaml:2: neither a corpus nor recordings to build one from\n  in `corpus`"
    )
    assert error.hint == (
        "give `source`, the folder with recordings, or `uri`, where the corpus lies"
    )


def test_unknown_key_names_line_key_valid_keys_and_nearest() -> None:
    error = refused(JOB + "student:\n  distillation:\n    temprature: 2\n")
    assert error.message == (
        "job.yaml:10: unknown key `student.distillation.temprature`\n"
        "  expected one of: imitate, weight, temperature, scale_by_temperature_squared"
    )
    assert error.hint == "did you mean `temperature`?"
    assert error.exit_code == 2


def test_unknown_key_of_a_union_names_the_keys_of_its_member() -> None:
    error = refused(JOB.replace("  uri:", "  ury:"))
    assert "job.yaml:4: unknown key `corpus.ury`" in error.message
    assert "time_passed" in error.message
    assert error.hint == "did you mean `uri`?"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("folds: {count: five}", "`folds.count` is 'five'\n  expected a valid integer"),
        ("seeds: 3", "`seeds` is 3\n  expected a list"),
        ('seeds: ["1"]', "`seeds[0]` is '1'\n  expected a valid integer"),
        ("seeds: [true]", "`seeds[0]` is True\n  expected a valid integer"),
        ("folds: {count: true}", "`folds.count` is True\n  expected a valid integer"),
        ('label: {margin: "0.1"}', "`label.margin` is '0.1'\n  expected a valid number"),
        (
            "label: {threshold: median}",
            "`label.threshold` is 'median'\n  expected a valid number or one of: session_mean, "
            "training_median",
        ),
        ("seeds: [0, -1]", "`seeds[1]` is -1\n  expected greater than or equal to 0"),
        ("label: 3", "`label` is 3\n  expected a mapping"),
        ("optimisation: {batch_size: 1}", "`optimisation.batch_size` is 1"),
        ("seeds: []", "`seeds` is []"),
        ("arms: []", "`arms` is empty"),
        ("arms: [e2e, e2e]", "`e2e` is named twice in `arms`"),
        ("seeds: [1, 1]", "`1` is named twice in `seeds`"),
        ("affects: [arousal, arousal]", "`arousal` is named twice in `affects`"),
        (
            "affects: [arousal, valence]\nlabel: {threshold: {arousal: 0.1}}",
            "`label.threshold` has no value for `valence`, which is in `affects`",
        ),
        ("affects: joy", "`affects` is 'joy'\n  expected 'arousal' or 'valence'"),
        ("folds: {count: 1}", "`count` must be at least 2"),
        ("output: ''", "`output` is ''"),
        ("label: {margin: .inf}", "`label.margin` is inf\n  expected a finite number"),
        ("seeds: [9223372036854775808]", "`seeds[0]` is 9223372036854775808"),
        ("tracking: {uri: 'ftp://x'}", "`tracking.uri` is 'ftp://x'"),
        ("x: &c {bogus: 3}\noptimisation: {<<: *c}", "unknown key `optimisation.bogus`"),
    ],
)
def test_wrong_values_are_named_with_what_was_expected(line: str, expected: str) -> None:
    error = refused(JOB + line + "\n")
    assert error.message.startswith("job.yaml:")
    assert expected in error.message


def test_closed_choices_list_their_values_and_the_nearest() -> None:
    error = refused(JOB + "arms: [majority, e2ee]\n")
    assert error.message == (
        f"job.yaml:8: `arms[1]` is 'e2ee'\n  expected one of: {', '.join(get_args(Arm))}"
    )
    assert error.hint == "did you mean `e2e`?"
    error = refused(JOB.replace("adapter: again", "adapter: agian"))
    assert "expected one of: again, again_derived, recola" in error.message
    assert error.hint == "did you mean `again`?"


@pytest.mark.parametrize(
    ("available", "privileged", "expected"),
    [
        ("[frames, frames]", "[telemetry]", "`frames` is named twice in `available`"),
        ("[frames]", "[telemetry, telemetry]", "`telemetry` is named twice in `privileged`"),
        ("[frames]", "[frames]", "`frames` is named twice: as available and as privileged"),
        ("[[a, b], [b, a]]", "[c]", "`a+b` is named twice in `available`"),
    ],
)
def test_a_modality_named_twice(available: str, privileged: str, expected: str) -> None:
    text = JOB.replace("[frames]", available).replace("[telemetry]", privileged)
    error = refused(text)
    assert expected in error.message
    assert "in `modalities`" in error.message


@pytest.mark.parametrize(
    ("line", "where", "environment"),
    [
        ("tracking: {uri: 'https://ada:s3cret@host'}", "tracking.uri", "MLFLOW_TRACKING_PASSWORD"),
        ("tracking: {uri: 'https://host/?token=s3cret'}", "tracking.uri", "MLFLOW_TRACKING_TOKEN"),
        ("storage: {endpoint_url: 'http://key:s3cret@s3'}", "storage.endpoint_url", "AWS_SECRET"),
        ("tracking: {uri: 'https://host/#t=s3cret'}", "tracking.uri", "MLFLOW_TRACKING_TOKEN"),
        ("output: 's3://key:s3cret@bucket/runs'", "output", "AWS_SECRET_ACCESS_KEY"),
        ("target: 'http://ada:s3cret@ray:8265'", "target", "RAY_AUTH_TOKEN"),
    ],
)
def test_no_address_holds_credentials(line: str, where: str, environment: str) -> None:
    error = refused(JOB + line + "\n")
    assert "an address with a user name, a password or a query in it" in error.message
    assert f"in `{where}`" in error.message
    assert environment in str(error.hint)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("output: ''", "expected text of at least 1 character"),
        ("name: A B", "expected lower-case letters, digits and hyphens: text of the form `^[a-z0-"),
        ("resources: {pool: A B}", "expected node pool of a cluster: text of the form `^[a-z0-9]"),
    ],
)
def test_what_form_a_text_must_have(line: str, expected: str) -> None:
    text = JOB.replace("name: tiny\n", "") if line.startswith("name") else JOB
    assert expected in refused(f"{text}{line}\n").message


def test_a_corpus_is_found_without_credentials() -> None:
    error = refused(JOB.replace("uri: corpora/tiny", "uri: 's3://key:s3cret@bucket/x'"))
    assert "an address with a user name, a password" in error.message
    assert "s3cret" not in str(error)


def test_the_password_of_another_kind_of_address_is_not_shown() -> None:
    error = refused(f"{JOB}tracking: {{uri: 'postgresql://ada:s3cret@db/mlflow'}}\n")
    assert "`tracking.uri` is 'postgresql://...@db/mlflow'" in error.message
    assert "expected tracking server or `sqlite:///path`: text of the form" in error.message


def test_half_an_address() -> None:
    error = refused(f"{JOB}target: 'http://[::1'\n")
    assert "no address: Invalid IPv6 URL" in error.message


def test_workers_of_a_lane_have_gpus_of_their_own() -> None:
    error = refused(f"{JOB}resources:\n  workers_per_lane: 2\n  gpus_per_worker: 0.5\n")
    assert error.message.startswith(
        "job.yaml:10: `gpus_per_worker: 0.5` with `workers_per_lane: 2`"
    )
    assert "the workers of a lane cannot share a GPU" in error.message
    assert "`resources.gpus_per_worker: 0` to train on CPUs" in (error.hint or "")
    for fine in ("{workers_per_lane: 2, gpus_per_worker: 2}", "{lanes: 2, gpus_per_worker: 0.5}"):
        parse_job(f"{JOB}resources: {fine}\n", "job.yaml")


@pytest.mark.parametrize("key", ["source: s3://b/x", "generate: {into: s3://b/x}"])
def test_recordings_lie_in_a_folder(key: str) -> None:
    error = refused(JOB.replace("uri: corpora/tiny", key))
    assert "recordings lie in a folder, not at `s3://b/x`" in error.message


@pytest.mark.parametrize("available", ["[frames]", "[frames, [frames, sound]]"])
def test_nothing_privileged_for_a_student(available: str) -> None:
    text = JOB.replace("[frames]", available).replace("privileged: [telemetry]", "privileged: []")
    error = refused(text)
    told = "job.yaml:7: arm `lupi` learns from privileged modalities, and nothing is privileged"
    assert error.message.startswith(told)
    assert "for the student of `frames" in error.message
    assert "name what only the lab has in `modalities.privileged`" in (error.hint or "")
    alone = parse_job(text + "arms: [majority, e2e, scl]\n", "job.yaml")
    assert alone.modalities.privileged == (), "these arms have no use for any"


@pytest.mark.parametrize("control", ["pricon_shuffled", "pricon_random"])
def test_a_control_without_its_parent(control: str) -> None:
    error = refused(JOB + f"seeds: [0]\narms: [e2e, {control}]\n").message
    assert error.startswith(f"job.yaml:9: `arms` names `{control}`, a control of `pricon`, which")
    parse_job(JOB + f"arms: [e2e, pricon, {control}]\n", "job.yaml")


def test_an_error_over_several_keys_names_the_line_of_the_first_that_is_there() -> None:
    text = JOB + "student:\n  encoder:\n    width: 8\n  distillation: {imitate: embedding}\n"
    error = refused(text).message
    assert error.startswith("job.yaml:11: `student.distillation.imitate: embedding` compares")


def test_what_only_other_students_see_is_privileged() -> None:
    text = JOB.replace("[telemetry]", "[]").replace("[frames]", "[frames, telemetry]")
    modalities = parse_job(text, "job.yaml").modalities
    assert modalities.available == (("frames",), ("telemetry",))
    assert modalities.everything == ("frames", "telemetry")


def test_a_set_of_modalities_is_one_student() -> None:
    job = parse_job(JOB.replace("[frames]", "[frames, [frames, sound]]"), "job.yaml")
    assert job.modalities.available == (("frames",), ("frames", "sound"))


def test_several_errors_come_in_the_order_of_lines() -> None:
    error = refused(JOB.replace("name: tiny", "nam: tiny") + "seeds: 3\n")
    lines = [int(part.split(":")[1]) for part in error.message.split("\n") if "job.yaml:" in part]
    assert lines == sorted(lines)
    assert len(lines) == 3


def test_broken_yaml_names_the_line() -> None:
    error = refused("name: tiny\ncorpus: [1, 2\nmodalities: {}\n")
    assert error.message.startswith("job.yaml:3: not valid YAML")


def test_a_key_given_twice() -> None:
    error = refused(JOB + "name: other\n")
    assert "job.yaml:8: not valid YAML" in error.message
    assert "duplicate key" in error.message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n"])
def test_a_file_that_is_no_mapping(text: str) -> None:
    assert "expected a mapping with keys" in refused(text).message


def test_missing_file_offers_a_near_one(tmp_path: Path) -> None:
    (tmp_path / "again_cv.yaml").write_text(JOB, encoding="utf-8")
    with pytest.raises(SpecError, match="job file not found") as caught:
        load_job(tmp_path / "agian_cv.yaml")
    assert caught.value.hint == f"did you mean `{tmp_path / 'again_cv.yaml'}`?"
    with pytest.raises(SpecError, match="cannot be read"):
        load_job(tmp_path)


def test_not_text(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read"):
        load_job(file)


def test_the_error_survives_pickling() -> None:
    error = refused(JOB + "x: 1\n")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.hint, copy.exit_code) == (error.message, error.hint, 2)
