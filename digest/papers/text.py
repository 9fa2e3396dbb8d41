"""What sources write, as text that a reader can read: one paragraph of clean Unicode."""

import html
import re
import unicodedata

from digest.papers.latex import unlatex

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

# Characters that show nothing, or change how others show: controls but for blanks, soft hyphen, zero-width
# and bidirectional marks (a title must not turn round the mail it stands in), byte order mark, private use,
# tags, noncharacters, surrogates without their half.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\ue000-\uf8ff"
    "\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
# What a log or a page in the admin spells out; joiners and variation selectors belong to names and emoji.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
# Joiners matter between letters of Persian or Indian scripts and inside emoji, never beside ASCII.
_STRAY_JOINER = re.compile("(?:^|(?<=[\x00-\x7f]))[\u200c\u200d]+|[\u200c\u200d]+(?=[\x00-\x7f]|$)")


def readable(text: str) -> str:
    """The text on one line: no markup, no LaTeX, no characters that hide or rearrange.

    HTML entities are read once (`&amp;lt;` is the text "&lt;"). Never raises. About 0.2 ms for an abstract on
    one core; time grows with the length of the text and not faster, whatever it holds.
    """
    if _PLAIN_WORDS.fullmatch(text):
        return text
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
    text = unlatex(_without_invisible(text))
    text = unicodedata.normalize("NFC", _without_invisible(text))
    text = " ".join(text.split())
    return _STRAY_BLANK.sub(r"\1", text) if " ," in text or " ;" in text or " ." in text else text


def spelled_out(text: str) -> str:
    """The text as it came, with letters that hide, rearrange or cannot be stored as escapes: for operators.

    U+202E becomes the six characters \\u202e. Blanks, tabs and ends of lines stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


# Before a comma, or before the dot that ends a sentence; ". . ." is three dots.
_STRAY_BLANK = re.compile(r"(?<=\S)\s([,;]|(?<=[^.]\s)\.(?! ?\.))(?=\s|$)")
# Most authors' names: nothing to do. ("Rightarrow" alone might be a lost macro.)
_PLAIN_WORDS = re.compile(r"(?!.*Rightarrow)[A-Z][a-z]*\.?(?:[ -][A-Z][a-z]*\.?)*")


def _without_invisible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    # \t, \v, \f, \r and backspace may be what a string literal made of \times, \vec, \frac, \rho and \beta.
    if "\x08" in text:
        text = re.sub("\x08(?=eta|ar|oldsymbol|ig|inom|ullet)", r"\\b", text)
    text = _INVISIBLE.sub("", text)
    return _STRAY_JOINER.sub("", text) if "\u200c" in text or "\u200d" in text else text
