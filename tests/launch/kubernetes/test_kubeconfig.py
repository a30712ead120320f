"""From a kubeconfig to an open way, or words for what is wrong with it."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from pricon.errors import LaunchError
from pricon.launch.kubernetes.kubeconfig import open_access
from tests.launch.kubernetes.access import write_kubeconfig
from tests.launch.kubernetes.apiserver import TOKEN, api_server
from tests.launch.kubernetes.apistore import NAMESPACE
from tests.launch.kubernetes.certificates import CERTIFICATE, serve_tls
from tests.pod import needs_pods, pod_command

URL = "http://127.0.0.1:1"


def test_a_kubeconfig_says_where_and_who(tmp_path: Path) -> None:
    access = open_access(kubeconfig=write_kubeconfig(tmp_path / "config", URL))
    assert (access.host, access.context, access.namespace) == (URL, "lab", "research")
    assert open_access(namespace="mine", kubeconfig=str(tmp_path / "config")).namespace == "mine"


def test_several_files_are_one(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "a", URL)
    text = (tmp_path / "a").read_text(encoding="utf-8").replace("lab", "field")
    (tmp_path / "b").write_text(text.replace(URL, "http://127.0.0.1:2"), encoding="utf-8")
    both = f"{tmp_path / 'a'}:{tmp_path / 'missing'}:{tmp_path / 'b'}"
    assert open_access(context="field", kubeconfig=both).host == "http://127.0.0.1:2"


def test_a_context_without_a_namespace(tmp_path: Path) -> None:
    file = Path(write_kubeconfig(tmp_path / "config", URL))
    text = file.read_text(encoding="utf-8").replace(", namespace: research", "")
    file.write_text(text.replace("namespace: research", ""), encoding="utf-8")
    assert open_access(kubeconfig=str(file)).namespace == "default"


def test_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"no kubeconfig: there is no file .*missing") as caught:
        open_access(kubeconfig=str(tmp_path / "missing"))
    assert "point `KUBECONFIG` at it" in str(caught.value.hint)


def test_an_unknown_context(tmp_path: Path) -> None:
    file = write_kubeconfig(tmp_path / "config", URL)
    with pytest.raises(LaunchError, match="has no context `lap`\n  it has: `lab`") as caught:
        open_access(context="lap", kubeconfig=file)
    assert caught.value.hint == "did you mean `lab`?"
    with pytest.raises(LaunchError, match="has no context `elsewhere`"):
        open_access(context="elsewhere", kubeconfig=file)


def test_no_current_context(tmp_path: Path) -> None:
    file = Path(write_kubeconfig(tmp_path / "config", URL))
    text = file.read_text(encoding="utf-8").replace("current-context: lab", "current-context: ''")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LaunchError, match="has no current context"):
        open_access(kubeconfig=str(file))


@pytest.mark.parametrize(
    "text",
    [
        "", "clusters: [", "just words", "- 1", "contexts: [{context: {}}]",
        "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]", "\xff\xfe",
    ],
)  # fmt: skip
def test_a_file_that_is_no_kubeconfig(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(LaunchError, match=r"kubeconfig .*config (cannot be used|has no)") as caught:
        open_access(kubeconfig=str(file))
    assert "indices" not in caught.value.message, "words of Python"
    assert "does not support" not in caught.value.message


@pytest.mark.parametrize(
    ("user", "says", "hint"),
    [
        ("somebody", "context `lab` is of user `somebody`, whom it does not have", "config view"),
        ("ada", "logs in with the program `no-such-plugin`, which is not installed", "apt-get me"),
    ],
)
def test_a_context_that_cannot_log_in(user: str, says: str, hint: str, tmp_path: Path) -> None:
    """The client would go on as nobody, and the API server would be blamed."""
    file = Path(write_kubeconfig(tmp_path / "config", URL))
    document = YAML(typ="safe").load(file)
    document["contexts"][0]["context"]["user"] = user
    plugin = {"command": "no-such-plugin", "installHint": "apt-get me"}
    document["users"][0]["user"] = {"exec": plugin}
    YAML(typ="safe").dump(document, file)
    with pytest.raises(LaunchError, match=says) as caught:
        open_access(kubeconfig=str(file))
    assert hint in str(caught.value.hint)


def test_a_program_that_gives_no_credentials(tmp_path: Path) -> None:
    file = Path(write_kubeconfig(tmp_path / "config", URL))
    document = YAML(typ="safe").load(file)
    plugin = {"command": "false", "apiVersion": "client.authentication.k8s.io/v1"}
    document["users"][0]["user"] = {"exec": plugin}
    YAML(typ="safe").dump(document, file)
    expected = "logs in with the program `false`, which gave no credentials"
    with pytest.raises(LaunchError, match=expected) as caught:
        open_access(kubeconfig=str(file))
    assert "log in again" in str(caught.value.hint)


def test_a_login_without_a_program(tmp_path: Path) -> None:
    file = Path(write_kubeconfig(tmp_path / "config", URL))
    document = YAML(typ="safe").load(file)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1"}
    document["users"][0]["user"] = {"exec": plugin}
    YAML(typ="safe").dump(document, file)
    with pytest.raises(LaunchError, match="has no `command`"):
        open_access(kubeconfig=str(file))


@pytest.mark.parametrize(
    "server",
    ["127.0.0.1:6443", "ftp://127.0.0.1", "https://127.0.0.1:99999", "https://:80", "https://a:b"],
)
def test_a_server_without_an_address(server: str, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=f"is {server}, expected `https://host:port`") as caught:
        open_access(kubeconfig=write_kubeconfig(tmp_path / "config", server))
    assert "kubectl config view" in str(caught.value.hint)


@pytest.mark.parametrize("space", ["5", "a_b", "[a]"])
def test_a_namespace_that_none_can_be(space: str, tmp_path: Path) -> None:
    file = Path(write_kubeconfig(tmp_path / "config", URL))
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("namespace: research", f"namespace: {space}"), encoding="utf-8")
    with pytest.raises(LaunchError, match=r"the namespace of context `lab` is .* no such name"):
        open_access(kubeconfig=str(file))


def test_the_client_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)  # as Python marks what is not there
    with pytest.raises(LaunchError, match="needs the Python package `kubernetes`") as caught:
        open_access(kubeconfig=str(tmp_path / "config"))
    assert "pip install -c deploy/constraints.txt -e '.[k8s]'" in str(caught.value.hint)


@needs_pods
@pytest.mark.parametrize("token", [TOKEN, "an-old-one"])
def test_a_pod_asks_as_its_service_account(token: str, tmp_path: Path) -> None:
    settings = serve_tls(tmp_path, "-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1")
    account = {
        "namespace": NAMESPACE.encode(),
        "token": token.encode(),
        "ca.crt": (tmp_path / CERTIFICATE).read_bytes(),
    }
    with api_server(settings) as api:
        place = urlsplit(api.url)
        environment = {
            "HOME": "/tmp",
            "KUBERNETES_SERVICE_HOST": str(place.hostname),
            "KUBERNETES_SERVICE_PORT": str(place.port),
        }
        command, outside = pod_command(["pricon", "list"], environment, {}, account)
        done = subprocess.run(command, env=outside, capture_output=True, text=True, check=False)
    if token == TOKEN:
        assert (done.returncode, done.stderr) == (0, f"no runs in namespace `{NAMESPACE}`\n")
    else:
        assert done.returncode == 3
        assert "does not accept the credentials of this pod" in done.stderr
