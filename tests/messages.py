"""Which texts of the mails are translated: read from the code, without GNU gettext.

`python -m tests.messages` lists those that locale/zh_Hans lacks, and compiles what it has.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
from django.utils.translation.template import templatize

REPOSITORY = Path(__file__).resolve().parent.parent
CATALOGUE = REPOSITORY / "locale/zh_Hans/LC_MESSAGES/django.po"
SPOKEN_IN = (
    "digest/editions/*.py",
    "subscriptions/lifecycle.py",
    "templates/email/**/*.html",
    "templates/email/**/*.txt",
)
# Name of the function → what its arguments are.
FUNCTIONS = {
    "_": ("id",),
    "gettext": ("id",),
    "gettext_noop": ("id",),
    "ngettext": ("id", "plural"),
    "pgettext": ("context", "id"),
    "npgettext": ("context", "id", "plural"),
}
_CALL = re.compile(rf"(?<![\w.])({'|'.join(FUNCTIONS)})\(")
_STRING = re.compile(r"""\s*u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*,?""", re.DOTALL)

Message = tuple[str, str, str]  # context, msgid, plural; empty where there is none


def spoken() -> dict[Message, str]:
    """Every text that the mails hold, with the file where it stands."""
    found: dict[Message, str] = {}
    for pattern in SPOKEN_IN:
        for path in sorted(REPOSITORY.glob(pattern)):
            source = path.read_text("utf-8")
            messages = _in_python(source) if path.suffix == ".py" else _in_template(source)
            for message in messages:
                found.setdefault(message, str(path.relative_to(REPOSITORY)))
    return found


def _in_python(source: str) -> Iterator[Message]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            roles = FUNCTIONS[node.func.id]
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if len(texts) >= len(roles):
                yield _message(roles, [str(text) for text in texts])


def _in_template(source: str) -> Iterator[Message]:
    code = templatize(source)
    for call in _CALL.finditer(code):
        roles = FUNCTIONS[call[1]]
        texts, at = [], call.end()
        while len(texts) < len(roles) and (string := _STRING.match(code, at)):
            texts.append(ast.literal_eval(string[1]))
            at = string.end()
        yield _message(roles, texts)


def _message(roles: tuple[str, ...], texts: list[str]) -> Message:
    named = dict(zip(roles, texts, strict=False))
    return named.get("context", ""), named["id"], named.get("plural", "")


def key(entry: polib.POEntry) -> Message:
    return entry.msgctxt or "", entry.msgid, entry.msgid_plural or ""


def main() -> None:
    catalogue = polib.pofile(str(CATALOGUE))
    known = {key(entry) for entry in catalogue if entry.translated()}
    for message, where in spoken().items():
        if message not in known:
            print(where, message)  # noqa: T201
    catalogue.save_as_mofile(str(CATALOGUE.with_suffix(".mo")))


if __name__ == "__main__":
    main()
