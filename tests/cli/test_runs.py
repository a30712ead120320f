"""`pricon status | logs | cancel | results | list` as a user types them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pricon.cli.main import commands, exit_code_of
from pricon.launch.kubernetes.sending import submit_run
from tests.launch.kubernetes.access import connect
from tests.launch.kubernetes.apifaults import SILENT_NODE, ApiServer
from tests.launch.kubernetes.apiserver import api_server
from tests.launch.kubernetes.operator import (
    FOLDER,
    HANDLE,
    OUTPUT,
    Operator,
    Rendered,
    end,
    event,
    plan,
    progress,
    ray_job,
    report,
    training,
    trial,
    used,
)

REPORT = report()
SMALL_TALK = "2026-11-24 12:00:00,331\tINFO cli.py:331 -- Query the logs of the job:"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A cluster with a run that was just submitted; the user's kubeconfig names it."""
    with api_server() as server:
        submit_run(connect(tmp_path, server.url), Rendered())
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


@pytest.fixture
def operator(api: ApiServer) -> Operator:
    return Operator(api.store)


def pricon(*arguments: str) -> int:
    """Exit code; output goes where the test captures it."""
    return exit_code_of(lambda: commands()([*arguments], standalone_mode=False))


def test_the_list(api: ApiServer, operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.add(ray_job(name="older-00000000", creationTimestamp="2020-01-01T00:00:00Z"))
    operator.status(jobDeploymentStatus="Running")
    assert pricon("list") == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "job", "state", "submitted"]
    assert first.split()[:3] == [HANDLE, "tiny", "running"]
    assert second.split()[0] == "older-00000000"
    assert second.endswith(" days ago")
    assert pricon("list", "--json") == 0
    assert [run["run"] for run in json.loads(capsys.readouterr().out)] == [HANDLE, "older-00000000"]


def test_an_empty_list(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.store.delete("rayjobs", HANDLE)
    assert pricon("list") == 0
    assert capsys.readouterr().err == "no runs in namespace `research`\n"


def test_the_status_is_a_matrix(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.start()
    operator.say(plan(), trial("a", "e2e", 0), trial("b", "pricon", 1, error="no"))
    operator.say(training(2, pricon={1: 1}))
    assert pricon("status", HANDLE) == 0
    shown = capsys.readouterr().out
    assert f"run      {HANDLE}\njob      tiny\nstate    running, submitted " in shown
    assert "trials   1 of 6 done, 1 failed, 4 left, 1 of them running" in shown
    assert f"output   {FOLDER}" in shown
    assert shown.endswith(
        "\n\narm     fold 0  fold 1\ne2e     1/1     0/1\n"
        "pricon  0/2     0/2 (1 failed, 1 running)\n"
    )
    assert pricon("status", HANDLE, "--json") == 0
    assert json.loads(capsys.readouterr().out)["trials"]["left"] == 4


def test_what_a_run_takes(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.start()
    operator.say(plan(), used(1.0, e2e={0: 0.25}, pricon={0: 0.5, 1: 0.125}))
    assert pricon("status", HANDLE) == 0
    line = "used     {0:.2f} pod-hours, {0:.2f} GPU-hours, about {1:.2f} EUR"
    shares = "         e2e 25%, pricon 62%, beside training 12%\n"
    used_so_far = f"\n{line.format(1, 1.5)} (the profile's price, no head)\n{shares}"
    assert used_so_far in capsys.readouterr().out
    operator.say(used(2.0, is_last=True), REPORT, end())
    operator.finish()
    assert pricon("status", HANDLE, "--json") == 0
    assert json.loads(capsys.readouterr().out)["used"] == {
        "pod_hours": 2.0, "gpu_hours": 2.0, "cost": 3.0, "currency": "EUR",
    }  # fmt: skip
    assert pricon("results", HANDLE) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1].startswith(line.format(2, 3))
    assert pricon("logs", HANDLE) == 0
    assert capsys.readouterr().out.count("used     ") == 1, "the last word, not those before it"


def test_the_status_says_what_the_driver_does(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trials of a run may all be done while the tracking server listens still."""
    operator.start()
    operator.say(plan(), REPORT, progress("one thing"), progress("recording in MLflow"))
    assert pricon("status", HANDLE) == 0
    shown = capsys.readouterr().out
    assert "\nnow      recording in MLflow\n" in shown
    assert "one thing" not in shown
    operator.say(end())
    operator.finish()
    assert pricon("status", HANDLE, "--json") == 0
    assert json.loads(capsys.readouterr().out)["doing"] is None


def test_the_status_says_why(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    said = "pods is forbidden: exceeded quota: gpus, used up"
    operator.add(event("RayCluster", f"{HANDLE}-abc", "FailedToCreateHeadPod", said))
    operator.status(jobDeploymentStatus="Initializing", failed=2)
    assert pricon("status", HANDLE) == 0
    shown = capsys.readouterr().out
    assert ", attempt 3" in shown
    assert (
        "why      quota `gpus` of the namespace is used up: used up\n         hint: wait" in shown
    )


def test_the_status_says_what_went_wrong(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.start()
    operator.finish("FAILED", "Failed", message="the driver died")
    assert pricon("status", HANDLE) == 0
    shown = capsys.readouterr().out
    assert "error    the run failed: the driver died\n         hint: submit the job again" in shown


def test_the_log_in_words(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.start()
    operator.say(SMALL_TALK, "ordinary", plan(), training(0, e2e={0: 1}), training(0), REPORT)
    operator.finish()
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "ordinary",
        f"plan: 6 trials, 2 arms (e2e, pricon) x 2 folds   output={FOLDER}",
        "pricon 0.61  e2e 0.58",
        f"report   {FOLDER}/report.html",
    ]
    assert shown.err == ""


@pytest.mark.parametrize(("ends", "code"), [(False, 3), (True, 0)])
def test_a_node_that_gives_no_log(
    ends: bool,
    code: int,
    api: ApiServer,
    operator: Operator,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    operator.start()
    if ends:
        operator.finish()
    api.fail("log", status=500, body=SILENT_NODE, times=99)
    said = f"the log of Pod `{operator.submitter}` cannot be read from its node: Get "
    assert pricon("logs", HANDLE) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert pricon("status", HANDLE) == 0
    assert f"state    {'finished' if ends else 'running'}" in capsys.readouterr().out
    assert said in caplog.text
    assert "does not answer as it should" not in caplog.text, "the API server is well"


def test_a_log_of_nothing_but_what_ray_says(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.start()
    operator.say(SMALL_TALK)
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"run {HANDLE} has no log; it is running" in shown.err


def test_no_log_yet(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("logs", HANDLE) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"run {HANDLE} has no log; it is starting\nwaiting: KubeRay has not" in shown.err
    assert f"what it wrote is in {OUTPUT}" in shown.err


@pytest.mark.parametrize(
    ("last", "code", "error"),
    [(end(), 0, ""), (end(1, "trials", "1 trial failed"), 1, "error: 1 trial failed\n\nhint: mend"),
     (end(2, "input", "no such corpus"), 2, "error: no such corpus")],
)  # fmt: skip
def test_following_ends_with_the_run_s_exit_code(
    last: str, code: int, error: str, operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.start()
    operator.say(
        SMALL_TALK, plan(), "ordinary", training(0, e2e={0: 1}), trial("a", "e2e", 0), last
    )
    operator.finish()
    assert pricon("logs", "-f", HANDLE) == code
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1:] == [
        "ordinary",
        "trial a (e2e, heist, fold 0, seed 0) finished",
    ]
    assert shown.err.startswith(f"run {HANDLE}: finished\n{error}")


@contextmanager
def following(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """A process that is killed at last, whatever becomes of the test."""
    pipe = subprocess.PIPE
    follower = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    try:
        yield follower
    finally:
        follower.kill()
        follower.communicate()


def test_ctrl_c_detaches_and_another_follower_goes_on(
    api: ApiServer, operator: Operator, tmp_path: Path
) -> None:
    """In processes of their own, as signals are theirs."""
    # Who was started in a background ignores Ctrl-C, and so do those whom they start.
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    main = f"{hears}; from pricon.cli.main import main; main()"
    command = [sys.executable, "-c", main, "logs", "-f", HANDLE]
    operator.start()
    operator.say(plan(), "one")
    with following(command) as follower:
        assert follower.stdout is not None
        assert [follower.stdout.readline() for _ in range(2)][1] == "one\n"
        follower.send_signal(signal.SIGINT)
        _, error = follower.communicate(timeout=30)
    assert follower.returncode == 130
    assert f"detached; run {HANDLE} goes on" in error
    run = f"{HANDLE} --context lab --namespace research"
    assert f"hint: `pricon logs -f {run}` comes back, `pricon cancel {run}` ends it" in error
    assert "Traceback" not in error
    assert len(api.store.find("rayjobs")) == 1
    with following(command) as follower:
        time.sleep(0.1)
        operator.say("two", REPORT, end())
        operator.finish()
        shown, error = follower.communicate(timeout=60)
    assert follower.returncode == 0, error
    assert shown.splitlines()[1:] == [
        "one", "two", "pricon 0.61  e2e 0.58", f"report   {FOLDER}/report.html",
    ]  # fmt: skip


def test_results(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.start()
    operator.say(plan(), trial("a", "e2e", 0))
    assert pricon("results", HANDLE) == 3
    error = capsys.readouterr().err
    assert f"run `{HANDLE}` has no report: it is running, with 1 of 6 trials done" in error
    hint = f"hint: `pricon status {HANDLE}` says more, "
    assert f"{hint}`pricon logs -f {HANDLE}` waits for its end" in error
    operator.say(REPORT)
    assert pricon("results", HANDLE) == 0
    shown = capsys.readouterr().out
    assert shown == f"pricon 0.61  e2e 0.58\nreport   {FOLDER}/report.html\n"


def test_nobody_waits_for_results_of_what_has_failed(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.start()
    operator.say(plan())
    operator.finish("FAILED", "Failed")
    assert pricon("results", HANDLE) == 3
    error = capsys.readouterr().err
    assert "it is failed, with 0 of 6 trials done" in error
    assert "says more, submitting its job again goes on where it was" in error
    assert "logs -f" not in error


def test_results_that_are_not_whole(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.start()
    operator.say(plan(), report("INCOMPLETE", complete=False))
    assert pricon("results", HANDLE) == 1
    assert capsys.readouterr().out == f"INCOMPLETE\nreport   {FOLDER}/report.html\n"


def test_results_after_the_log_is_gone(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.start()
    operator.finish()
    operator.store.delete("pods", operator.submitter)
    assert pricon("results", HANDLE) == 0
    assert capsys.readouterr().out == (
        f"the log of the run is gone from the cluster; its report is in\n{OUTPUT}\n"
    )


def test_cancelling(api: ApiServer, operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.start()
    assert pricon("cancel", HANDLE) == 0
    shown = capsys.readouterr()
    assert f"run {HANDLE} is cancelled; submitting its job again goes on" in shown.out
    assert OUTPUT in shown.err
    assert api.store.find("rayjobs") == []
    assert pricon("cancel", HANDLE) == 3
    assert f"there is no run `{HANDLE}`" in capsys.readouterr().err


def test_cancelling_what_has_ended(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.start()
    operator.finish()
    assert pricon("cancel", HANDLE) == 0
    assert capsys.readouterr().out == f"run {HANDLE} had already ended: finished\n"


@pytest.mark.parametrize("command", ["status", "logs", "cancel", "results"])
def test_no_such_run(command: str, api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon(command, "another-1") == 3
    assert "error: there is no run `another-1` in namespace `research`" in capsys.readouterr().err


def test_another_namespace_and_context(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("status", HANDLE, "--namespace", "nowhere") == 3
    assert "in namespace `nowhere`" in capsys.readouterr().err
    assert pricon("status", HANDLE, "--context", "lap") == 3
    assert "did you mean `lab`?" in capsys.readouterr().err


def test_no_kubeconfig(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert pricon("list") == 3
    assert "error: no kubeconfig: there is no file" in capsys.readouterr().err


def test_a_namespace_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert pricon("list", "--namespace", "A B") == 2
    shown = capsys.readouterr().err
    assert "`--namespace` is 'A B'\n  expected lower-case letters, digits and hyphens" in shown
    assert "kubectl get namespaces" in shown
