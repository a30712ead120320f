"""What the owner of a cluster installed, as far as a submitter must know it: its profile."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pricon import __version__
from pricon.errors import LaunchError, PriconError, SpecError
from pricon.launch.kubernetes.client import CONFIG_MAPS, Cluster
from pricon.launch.submission import is_other_version
from pricon.spec.profile import ClusterProfile

PROFILE = "pricon-profile"
_KEY = "profile.yaml"
_UNFIT = (RecursionError, TypeError, ValueError)
"""What Python says of documents that are YAML and nothing else."""
_MEND = "the cluster's owner mends it in the values of the chart and runs `helm upgrade`"


def read_profile(cluster: Cluster, name: str = PROFILE) -> ClusterProfile:
    """The cluster profile of the namespace, made for this very version.

    Raises:
        LaunchError: there is none, it is damaged, or its image holds another version of pricon.
    """
    space = cluster.namespace
    found = cluster.get(CONFIG_MAPS, name)
    if found is None and name != PROFILE:
        raise LaunchError(
            f"there is no ConfigMap `{name}` in namespace `{space}`, which `--profile` names",
            f"leave `--profile` out to take the usual one, `{PROFILE}`; another is named by "
            "`profileName` of its values, which the cluster's owner knows",
        )
    if found is None:
        raise LaunchError(
            f"the chart `pricon` is not installed in namespace `{space}`: there is no ConfigMap "
            f"`{name}`",
            f"add `--namespace` if it is elsewhere; else the cluster's owner runs `helm install "
            f"pricon helm/pricon --namespace {space} --values my-values.yaml`",
        )
    where = f"ConfigMap `{name}` in namespace `{space}`"
    text = (found.get("data") or {}).get(_KEY)
    if text is None:
        raise LaunchError(
            f"{where} has no key `{_KEY}`", "is it the one of the chart? `--profile` names another"
        )
    return _profile(text, _Origin(where=f"{where}, `{_KEY}`", error=LaunchError, hint=_MEND))


def public_tracking(cluster: Cluster) -> str | None:
    """Where people reach MLflow, as the cluster's profile says, of whatever version that is.

    Raises:
        LaunchError: the profile may not be read.
    """
    found = cluster.get(CONFIG_MAPS, PROFILE) or {}
    text = (found.get("data") or {}).get(_KEY, "")
    origin = _Origin(where=f"ConfigMap `{PROFILE}`, `{_KEY}`", error=LaunchError, hint=_MEND)
    tracking = _parse(text, origin).get("tracking") if text else None
    address = tracking.get("publicUrl") if isinstance(tracking, dict) else None
    return address if isinstance(address, str) else None


def load_profile(file: Path) -> ClusterProfile:
    """A profile from a file: of a cluster that cannot be asked for it.

    Raises:
        SpecError: there is no such file, it is damaged, or of another version of pricon.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise SpecError(
            f"profile cannot be read: {file}\n  {err}",
            "`kubectl get configmap pricon-profile -o jsonpath='{.data.profile\\.yaml}'` prints "
            "that of a cluster",
        ) from err
    hint = "`deploy/profile.example.yaml` is a whole one; the chart's README tells its keys"
    return _profile(text, _Origin(where=str(file), error=SpecError, hint=hint))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where a profile stands, and what is said where it is wrong."""

    where: str
    error: type[PriconError]
    hint: str


def _profile(text: str, origin: _Origin) -> ClusterProfile:
    document = _parse(text, origin)
    _check_version(document, origin)
    try:
        return ClusterProfile.model_validate_json(json.dumps(document, default=str))
    except ValidationError as err:
        raise origin.error(f"{origin.where}: {_first(err)}", origin.hint) from err
    except _UNFIT as err:  # keys that are no text, or a thing that holds itself
        raise origin.error(f"{origin.where}: no plain mapping: {_said(err)}", origin.hint) from err


def _parse(text: str, origin: _Origin) -> dict[str, Any]:
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, *_UNFIT) as err:
        raise origin.error(f"{origin.where}: not valid YAML: {_said(err)}", origin.hint) from err
    if not isinstance(document, dict):
        raise origin.error(f"{origin.where}: expected a mapping", origin.hint)
    return document


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _check_version(document: dict[str, Any], origin: _Origin) -> None:
    """Before the keys: those of another version may be others."""
    there = document.get("version")
    if is_other_version(there):
        raise origin.error(
            f"this is pricon {__version__}, and the image of the cluster holds pricon {there} "
            f"({origin.where})",
            f"check out pricon {there} and install it (`pip install -e .`), or the cluster's "
            "owner upgrades the chart",
        )


def _first(error: ValidationError) -> str:
    """What is wrong with the first wrong key."""
    errors = error.errors()
    # A key that is missing may be the one that is misspelt.
    found = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in found["loc"] if part != "[key]")
    match found["type"]:
        case "missing":
            return f"missing key `{key}`"
        case "extra_forbidden":
            return f"unknown key `{key}`"
        case "string_pattern_mismatch":
            form = found["ctx"]["pattern"]
            shown = re.sub(r"//[^/@\s]*@", "//...@", repr(found["input"]))  # a password
            return f"`{key}` is {shown}, expected text of the form `{form}`"
    said = str(found.get("ctx", {}).get("error") or found["msg"])
    return f"`{key}`: {said}" if key else said
