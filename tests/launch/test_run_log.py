"""What a driver says, kept beside the runs. `test_drive.py` has whole runs."""

from pathlib import Path

from pricon.launch.bulletins import Bulletin, EndBulletin, ProgressBulletin, UsageBulletin, read
from pricon.launch.run_log import RunLog
from pricon.launch.submission import Submission
from pricon.storage import open_storage


def opened(folder: Path, said: list[Bulletin]) -> RunLog:
    log = RunLog(said.append, Submission(id="s1"))
    assert log.open(open_storage(str(folder))) is None
    return log


def used(pod_hours: float) -> UsageBulletin:
    return UsageBulletin(pod_hours=pod_hours, gpu_hours=0.0)


def test_each_attempt_has_a_file_and_hears_what_the_ones_before_took(tmp_path: Path) -> None:
    said: list[Bulletin] = []
    lost = EndBulletin(exit_code=3, cause="infrastructure")
    first = opened(tmp_path, said)
    assert first.used_before is None
    for bulletin in (used(1.0), used(2.0), ProgressBulletin(text="on")):
        first.say(bulletin)
    first.close(lost)
    second = opened(tmp_path, said)  # was lost before it counted
    assert second.used_before == used(2.0)
    second.close(lost)
    assert opened(tmp_path, said).used_before == used(2.0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s1.0.log", "s1.1.log"]
    kept = [read(line) for line in (tmp_path / "s1.0.log").read_text().splitlines()]
    assert kept == said[:4]


def test_an_end_for_good_is_on_record(tmp_path: Path) -> None:
    said: list[Bulletin] = []
    end = EndBulletin(exit_code=2, cause="input", message="no such key")
    opened(tmp_path, said).close(end)
    again = RunLog(said.append, Submission(id="s1"))
    assert again.open(open_storage(str(tmp_path))) == end
    other = RunLog(said.append, Submission(id="s2"))
    assert other.open(open_storage(str(tmp_path))) is None
