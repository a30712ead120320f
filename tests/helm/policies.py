"""What checkov finds in rendered objects, and which of its checks are left out for what reason."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.helm.binaries import Binary
from tests.helm.render import CHART, KubernetesObject, identity

CONFIG = CHART / ".checkov.yaml"
_REASON = re.compile(r"^  - (CKV2?_K8S_\d+) # (\S.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A check that failed, and in which file."""

    check: str
    file: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found; `passed` counts checks that did not fail."""

    failed: tuple[Finding, ...]
    passed: int


def reasons() -> dict[str, str]:
    """Checks that are left out everywhere, with the reason beside each.

    Raises:
        AssertionError: one has no reason.
    """
    lines = CONFIG.read_text(encoding="utf-8").splitlines()
    skipped = [line for line in lines if line.startswith("  - ")]
    found = {match[1]: match[2] for line in skipped if (match := _REASON.match(line))}
    listed = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["skip-check"]
    assert [*found] == listed, "every line of `skip-check` is `  - CHECK # reason`"
    return found


def write(objects: Iterable[KubernetesObject], folder: Path, prefix: str = "") -> None:
    """Each object as a file `<prefix><kind>-<name>.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in objects:
        name = f"{prefix}{'-'.join(identity(entry))}.yaml"
        (folder / name).write_text(yaml.safe_dump(entry), encoding="utf-8")


def look_at(checkov: Binary, folder: Path) -> Findings:
    """Everything that checkov says of a folder, with nothing left out. Asks no server."""
    done = checkov.run(
        *("--directory", str(folder), "--framework", "kubernetes", "--output", "json"),
        *("--compact", "--skip-download", "--soft-fail"),
        timeout_s=180,
    )
    said = json.loads(done.stdout)
    results = said["results"]
    assert results["parsing_errors"] == []
    failed = (
        Finding(check=one["check_id"], file=Path(one["file_path"]).name, words=one["check_name"])
        for one in results["failed_checks"]
    )
    return Findings(failed=tuple(failed), passed=said["summary"]["passed"])
