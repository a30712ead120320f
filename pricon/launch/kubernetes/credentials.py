r"""What looks like a credential in a text: by the name before it, or by its form. Pure.

No list of names is complete, and a text has no structure to go by: what is called otherwise stays.
Where names cannot tell, more is removed rather than less.
"""

import re

REMOVED = "(removed)"

_WORDS = (
    r"(?:(?<!COM)(?<!BY)PASS(?!ED|ES|IV|ING)|(?<!UN)AUTH(?!OR(?!I))|WEBHOOK|(?<![A-Z])DSN(?![A-Z])"
    r"|SIGNATURE|(?<![A-Z])SIG(?![A-Z])|KEY|TOKEN(?!IZ)|SECRET|CREDENTIAL|[_-]PWD|RUNTIME[_-]?ENV)"
)
"""In names, but for words such as `time_passed`, `author`, `Unauthorized`, `tokenizer`. The runtime
environment of a Ray job is mostly variables, under any name."""

_REFERENCE = "(?:NAME|NAMESPACE|FILE|REF|CLASS|ERROR|EXCEPTION)"
"""Ends names of what only leads to a credential, or complains of one."""


def _name(characters: str) -> str:
    """A whole name. Each is looked at once, as a text may be a megabyte without a space."""
    one = f"[{characters}]"
    return rf"(?<!{one})(?={one}*?{_WORDS})(?!{one}*{_REFERENCE}(?!{one})){one}++"


_PLAIN, _LONG = _name(r"\w.-"), _name(r"\w./-")
_QUOTED = r"""(?:\\+"[^"]*"|\\+'[^']*'|"(?:[^"\\]|\\.)*"|'[^']*')"""
_VALUE = rf"""(?:(?:Bearer|Basic)\s+)?(?:{_QUOTED}|(?:\\.|[^\s"'&;|<>\\])+)"""
_COLON = r"""(?:(?<=["'])[ \t]*:[ \t]*|[ \t]*:[ \t]+)"""
_KEYED = rf"""\\*["']?(?!key["'\\]*[ \t]*:){_LONG}\\*["']?"""
"""A name before a colon. `key` alone is mostly of a taint or within a secret: a name, too."""

_FORMS = (
    r"(?P<before>)-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*KEY-----|\Z)",
    # Lines of YAML, indented under a name.
    rf"^(?P<before>(?P<indent>[ \t]*)(?:- )*{_KEYED}:[ \t]*[|>][-+\d]*[ \t]*\n(?P=indent)[ \t]+)"
    r".*(?:\n(?P=indent)[ \t].*|\n[ \t]*$)*",
    # A line, to its end. A mapping stays, for what is in it.
    rf"^(?P<before>[ \t]*(?:- )*{_KEYED}(?:{_COLON}|[ \t]+=[ \t]+))"
    rf"(?![|>][-+\d]*[ \t]*$|\[?{{)(?:{_QUOTED}|\S.*)",
    # In the middle of JSON, or of a line in quotes; elsewhere a colon is of a sentence.
    rf"""(?P<before>["'{{,;][ \t]*{_KEYED}{_COLON})(?![\[{{])(?:{_QUOTED}|[^\n"',}}]+)""",
    rf"(?P<before>\b(?:(?:Proxy-)?Authorization|(?=X-){_PLAIN}):\s*){_VALUE}",
    rf"""(?P<before>{_PLAIN}\\*["']?\]?(?:=(?!=)|[ \t]+=[ \t]+)){_VALUE}""",
    rf"""(?P<before>(?=--?\w){_PLAIN}\\*["']?,?(?:[ \t]|\\\n)+)(?!-){_VALUE}""",
    r"(?P<before>\bBearer\s+)(?=[\w.~+/=-]*\d)[\w.~+/=-]{6,}",
)
_PATTERNS = [re.compile(form, re.IGNORECASE | re.MULTILINE) for form in _FORMS]

_USER = re.compile(
    r"""(?<!/)//(?:"""
    # A slash in a password: what follows the colon is no port, and an `@` comes later.
    r"""[^\s"'/?#@:\[]*:(?!\d+[/?#])[^\s"'/?#@]*(?:@[^\s"'/?#@.:]*)*[/?#][^\s"']{0,1000}@"""
    r"""|[^\s"'/?#]*@)"""
)

_WORD = re.compile(_WORDS, re.IGNORECASE)
_NAME = re.compile(_LONG, re.IGNORECASE)
_OPTION = re.compile(rf"(?=--?\w){_PLAIN}", re.IGNORECASE)


def is_credential(name: str, *, is_free: bool = False) -> bool:
    """Whether what has this name may be a credential.

    Args:
        name: of a variable, a key, a header.
        is_free: whether anybody may have invented it, so that its end promises nothing.

    >>> is_credential("HF_TOKEN"), is_credential("secretName"), is_credential("time_passed")
    (True, False, False)
    """
    return (_WORD if is_free else _NAME).search(name) is not None


def takes_credential(argument: str) -> bool:
    """Whether the next argument of a command may be a credential.

    >>> takes_credential("--token"), takes_credential("--token=abc"), takes_credential("--lanes")
    (True, False, False)
    """
    return _OPTION.fullmatch(argument) is not None


def without_credentials(text: str) -> str:
    """A text without values after names of credentials, and without users in addresses.

    >>> without_credentials("HF_TOKEN=abc train --password hunter2 --to s3://ada:pw@store/x")
    'HF_TOKEN=(removed) train --password (removed) --to s3://(removed)@store/x'
    """
    text = _USER.sub(f"//{REMOVED}@", text)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<before>{REMOVED}", text)
    return text
