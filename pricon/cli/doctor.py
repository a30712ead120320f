"""`pricon doctor`: whether runs can be sent to a namespace, and what is missing."""

import json
from dataclasses import asdict, replace
from typing import Annotated, get_args

import typer

from pricon.cli.cluster import AsJson, Context, Namespace, open_cluster
from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.doctor import examine
from pricon.launch.kubernetes.finding import Finding, Verdict
from pricon.launch.kubernetes.installation import PROFILE

_READ_S = 5.0
_WIDTH = max(map(len, get_args(Verdict)))


def examine_cluster(
    namespace: Namespace = None,
    context: Context = None,
    profile: Annotated[str, typer.Option(help="ConfigMap of the cluster's profile.")] = PROFILE,
    as_json: AsJson = False,
) -> int:
    """Check whether runs can be sent to a cluster: access, KubeRay, the chart, pools, nodes.

    Nothing is stored there. The cluster's owner sees more than who may only submit.

    Exit codes: 0 nothing is wrong, 2 an argument is wrong, 3 something is.
    """
    cluster = open_cluster(context, namespace)
    # A doctor is asked when something is wrong, and should not wait for it to get better.
    hasty = Cluster(cluster.access, replace(cluster.patience.hasty, read_s=_READ_S))
    found: list[Finding] = []
    for finding in examine(hasty, profile):
        found.append(finding)
        if not as_json:
            typer.echo(_words(finding))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    is_wrong = any(finding.verdict == "wrong" for finding in found)
    return LaunchError.exit_code if is_wrong else 0


def _words(finding: Finding) -> str:
    indent = "\n" + " " * (_WIDTH + 2)
    said = indent.join(f"{finding.check}: {finding.text}".splitlines())
    hint = f"{indent}hint: {finding.hint}" if finding.hint else ""
    return f"{finding.verdict.ljust(_WIDTH)}  {said}{hint}"
