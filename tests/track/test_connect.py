"""A database for MLflow, made whole or not at all."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path


def test_a_database_appears_whole(tmp_path: Path) -> None:
    """Killed at any moment while MLflow makes its tables, the next start makes a whole one."""
    script = "\n".join(
        (
            "import sys",
            "from pathlib import Path",
            "from pricon.track.connect import _create",
            "_create(Path(sys.argv[1]) / 'mlflow.db')",
        )
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    began = subprocess.Popen(command)
    while not list(tmp_path.glob(".mlflow.db.*")):
        time.sleep(0.01)
    began.kill()
    began.wait()
    assert not (tmp_path / "mlflow.db").exists()
    subprocess.run(command, check=True)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        (version,) = database.execute("select count(*) from alembic_version").fetchone()
    assert version == 1
