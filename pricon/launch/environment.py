"""What a result was made with: versions, commit, hardware."""

import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pricon

_PACKAGES = ("torch", "ray", "mlflow", "numpy", "pyarrow", "scipy", "statsmodels", "pydantic")


def environment() -> dict[str, str]:
    """Name -> value, for `environment.json` and tags. Holds no secret and no host name."""
    facts = {
        "pricon": pricon.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": str(os.cpu_count()),
        "git_commit": _git_commit(),
    }
    for package in _PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts


def _git_commit() -> str:
    """Commit of the code, with `+changes` where the tree differs from it.

    Outside git it is what the build of an image wrote into `pricon/COMMIT`, or `unknown`.
    """
    folder = Path(pricon.__file__).parent
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # not somebody else's tree
        commit = _git(folder, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(folder, "status", "--porcelain", "--", ".") else commit
    except (OSError, subprocess.SubprocessError):
        with suppress(OSError):
            return (folder / "COMMIT").read_text(encoding="utf-8").strip()
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        # Without optional locks: `status` cut short would leave the user's index locked.
        ["git", "--no-optional-locks", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.strip()
