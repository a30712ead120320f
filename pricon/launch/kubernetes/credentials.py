"""What looks like a credential in a text: by the name before it, or by its form. Pure.

No list of names is complete, and a text has no structure to go by: what is called otherwise stays.
Where names cannot tell, more is removed rather than less.
"""

import re

REMOVED = "(removed)"

_WORDS = (
    "(?:PASS|PASSWORD|PASSWD|PASSPHRASE|[_-]PWD|AUTH|AUTHORIZATION|WEBHOOK|DSN|SIGNATURE|KEY|KEY_ID"
    "|TOKEN|SECRET|CREDENTIAL|CREDS|COOKIE|[_-]PAT|RUNTIME[_-]?ENV(?:[_-]?(?:JSON|YAML))?)S?_?[0-9]{0,3}"
)
"""How names of credentials end. `secretName` and `TOKEN_FILE` only lead to one. The runtime
environment of a Ray job is mostly variables, under any name."""

# Names are short: in a text of a megabyte without a space nothing is looked for twice.
_BODY = rf"[\w./-]{{0,48}}?(?:{_WORDS})(?![\w-])"
_NAME = rf"(?<![\w-]){_BODY}"
_QUOTED = r"""\\+"[^"\n]*"|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
_VALUE = rf"(?:(?:Bearer|Basic)\s+)?(?:{_QUOTED}|[^\s\"'&;|]+)"
_MEMBER = r"""[^\s"'{\[,}][^"',}\n]*"""

_FORMS = (
    r"()-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*KEY-----|\Z)",
    # A line of YAML or of settings, to its end. `key` alone is mostly of a taint or of a secret,
    # and a mapping stays, for what is in it.
    rf"^([ \t]*(?:- )?(?!key:){_NAME}[ \t]*[:=][ \t]+)(?![\[{{|>])\S.*",
    # In JSON, quoted once more or not. Elsewhere a colon is of a sentence.
    rf"""(["'{{,][ \t]*(?!key\b){_BODY}\\*["']?[ \t]*:[ \t]*)(?:{_QUOTED}|{_MEMBER})""",
    rf"""({_NAME}["']?\]?[ \t]?=(?!=)[ \t]?){_VALUE}""",
    rf"((?<!\S)--?{_BODY}[ \t]+(?:\\\n\s*)?)(?!-){_VALUE}",
    r"(\b(?:Authorization|(?:Set-)?Cookie):[ \t]*)[^\s\"'(][^\"'\n(]*",
    r"((?<!\S)-u[ \t]+)[^\s:]+:\S+",
    r"()\b(?:gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[a-z]-|AKIA|ASIA)[\w-]{12,}",
    r"()\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*",
    r"(\b(?:Bearer|Basic)\s+)[\w.~+/=-]*\d[\w.~+/=-]*",
    r"([?&]sig=)[^&\s]+",
)
_PATTERNS = [re.compile(form, re.IGNORECASE | re.MULTILINE) for form in _FORMS]
_USER = re.compile(
    r"""(?<=://)(?:[^\s"'/?#@]{0,256}@|[^\s"'/@:]{0,256}:(?!\d+[/?#])[^\s"']{0,256}@)+"""
)
_WHOLE = re.compile(_BODY, re.IGNORECASE)
_ANYWHERE = re.compile(_WORDS, re.IGNORECASE)


def is_credential(name: str, *, is_free: bool = False) -> bool:
    """Whether what has this name may be a credential.

    Args:
        name: of a variable, a key, a header.
        is_free: whether anybody may have invented it, so that its end promises nothing.

    >>> is_credential("HF_TOKEN"), is_credential("secretName")
    (True, False)
    """
    return bool(_ANYWHERE.search(name) if is_free else _WHOLE.fullmatch(name))


def takes_credential(argument: str) -> bool:
    """Whether the next argument of a command may be a credential.

    >>> takes_credential("--token"), takes_credential("--token=abc"), takes_credential("--lanes")
    (True, False, False)
    """
    return argument.startswith("-") and is_credential(argument.lstrip("-"))


def without_credentials(text: str) -> str:
    """A text without values after names of credentials, and without users in addresses.

    >>> without_credentials("HF_TOKEN=abc train --password hunter2 --to s3://ada:pw@store/x")
    'HF_TOKEN=(removed) train --password (removed) --to s3://(removed)@store/x'
    """
    text = _USER.sub(f"{REMOVED}@", text)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{REMOVED}", text)
    return text
