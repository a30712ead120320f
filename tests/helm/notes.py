"""What helm prints last, taken out of a copy of the chart: else it takes a cluster to see it."""

import shutil
from pathlib import Path

from tests.helm.binaries import Binary
from tests.helm.render import CHART, FOREIGN_APIS, NAMESPACE, RELEASE, ci_file, read

_AS_AN_OBJECT = """{{- define "notes" -}}
%s
{{- end -}}
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data: {text: {{ include "notes" . | quote }}}
"""


def with_notes(folder: Path) -> Path:
    """A copy of the chart below `folder` that renders its notes as an object."""
    copy = folder / "pricon"
    shutil.copytree(CHART, copy)
    notes_file = copy / "templates" / "NOTES.txt"
    text = _AS_AN_OBJECT % notes_file.read_text(encoding="utf-8")
    (copy / "templates" / "notes.yaml").write_text(text, encoding="utf-8")
    notes_file.unlink()
    return copy


def notes(
    helm: Binary,
    chart: Path,
    feature: str = "default",
    *,
    is_full: bool = False,
    settings: tuple[str, ...] = (),
) -> str:
    """What `helm install` prints last, into a cluster with or without all operators."""
    given = [part for setting in settings for part in ("--set", setting)]
    apis = [part for api in FOREIGN_APIS if is_full for part in ("--api-versions", api)]
    done = helm.run(
        *("template", RELEASE, str(chart), "--namespace", NAMESPACE, *apis),
        *("--values", str(ci_file(feature)), *given, "--show-only", "templates/notes.yaml"),
    )
    return str(read(done.stdout)[0]["data"]["text"])
