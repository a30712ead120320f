"""What a driver says, kept beside the runs. `test_drive.py` has whole runs."""

from pathlib import Path

from pricon.launch.bulletins import Bulletin, EndBulletin, ProgressBulletin, read
from pricon.launch.run_log import RunLog
from pricon.launch.submission import Submission
from pricon.storage import open_storage


def opened(folder: Path, said: list[Bulletin]) -> RunLog:
    log = RunLog(said.append, Submission(id="s1"))
    assert log.open(open_storage(str(folder))) is None
    return log


def test_each_attempt_has_a_file(tmp_path: Path) -> None:
    said: list[Bulletin] = []
    lost = EndBulletin(exit_code=3, cause="infrastructure")
    for attempt in ("s1.0", "s1.1"):
        log = opened(tmp_path, said)
        assert log.attempt == attempt
        log.say(ProgressBulletin(text=attempt))
        log.close(lost)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s1.0.log", "s1.1.log"]
    kept = [read(line) for line in (tmp_path / "s1.1.log").read_text().splitlines()]
    assert kept == [ProgressBulletin(text="s1.1"), lost]
    assert said == [ProgressBulletin(text="s1.0"), lost, *kept]


def test_an_end_for_good_is_on_record(tmp_path: Path) -> None:
    said: list[Bulletin] = []
    end = EndBulletin(exit_code=2, cause="input", message="no such key")
    opened(tmp_path, said).close(end)
    again = RunLog(said.append, Submission(id="s1"))
    assert again.open(open_storage(str(tmp_path))) == end
    other = RunLog(said.append, Submission(id="s2"))
    assert other.open(open_storage(str(tmp_path))) is None
