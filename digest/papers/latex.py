"""LaTeX in titles and abstracts to readable Unicode, as far as one line of text can say it.

    $\\alpha$-RL with $1.58$-bit \\textbf{weights} at $10^{25}$ FLOP
    α-RL with 1.58-bit weights at 10²⁵ FLOP

Two kinds of text come in. arXiv's is LaTeX as the authors typed it, with macros of their own. Hugging Face's
went through a converter that takes `$` and most backslashes away but leaves the words: `1.6times`,
`mathcal{O}`, `textbf{F}ine`, `~sheng2024hybridflow`, `\\1.4M` for one point four million dollars. Neither is
ever refused: what is not understood loses its markup and keeps its letters.

Symbols come from pylatexenc's tables; the reading is our own, because its parser, made for whole documents,
takes `%` for a comment, `~` for a blank and `$5` for the start of a formula.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from pylatexenc.latex2text import get_default_latex_context_db


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Nothing below has anything to do in a text without one of these.
_MARKUP_CHARACTER = re.compile(r"[\\${}^_~`\t\f\r\x08\x0b]")
_MARKUP_WORDS = (
    *("''", "--", "times", "infty", "nabla", "neq", "leq", "geq", "approx", "angle", "propto", "varepsilon"),
    *("cdot", "rightarrow", "ceil", "floor", "otimes", "oplus", "subseteq", "forall", "textbf", "textit"),
    *("texttt", "textsc", "boldsymbol", "'olya", " % ", " gg ", " ll "),
)
_MARKUP_RARE = re.compile(r"[A-Za-z]'e|[A-Za-z]\"[aou]|\d\s?(?:sim|pm)\s?\d|\s(?:%|gg|ll)\s")


def _has_markup(text: str) -> bool:
    return bool(
        _MARKUP_CHARACTER.search(text)
        or any(word in text for word in _MARKUP_WORDS)
        or _MARKUP_RARE.search(text)
    )


# --- what macros mean ---------------------------------------------------------------------------------------

# Font and size switches, spacing, and other things that a reader does not see.
_NOTHING = _names(
    """
    it em bf sc tt rm sl sf cal frak mit bfseries itshape slshape scshape ttfamily rmfamily sffamily
    normalfont mdseries upshape boldmath unboldmath tiny scriptsize footnotesize small normalsize large
    Large LARGE huge Huge displaystyle textstyle scriptstyle scriptscriptstyle limits nolimits left right
    big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm Bigm middle noindent indent
    centering raggedright par protect relax strut mathstrut null xspace allowbreak nobreak nobreakdash
    nolinebreak linebreak smallskip medskip bigskip hfill vfill hfil break goodbreak nonumber notag
    footnotemark maketitle mathop mathbin mathrel mathopen mathclose mathord smash
    """
)
# A macro and its argument that say nothing to a reader of the abstract.
_NOTHING_WITH_ARGUMENT = _names(
    """
    label ref eqref cref Cref autoref pageref nameref vspace hspace color pagecolor thanks index input
    include bibliography bibliographystyle vskip hskip phantom hphantom vphantom includegraphics raisebox
    begin end
    """
)
_CITATION = re.compile(r"(?:no|paren|text|auto|foot|full|super|smart|alt|al)?[cC]ite\w*")
# name: which of its arguments is the text
_ARGUMENT_OF = {
    "textcolor": (2, 1), "colorbox": (2, 1), "fcolorbox": (3, 2), "foreignlanguage": (2, 1),
    "texorpdfstring": (2, 1), "scalebox": (2, 1), "resizebox": (3, 2), "rotatebox": (2, 1),
    "hyperref": (1, 0), "parbox": (2, 1), "overset": (2, 1), "underset": (2, 1), "stackrel": (2, 1),
    "SI": (2, 0), "multicolumn": (3, 2),
}  # fmt: skip
_WORDS = {
    "eg": "e.g.", "ie": "i.e.", "etc": "etc.", "etal": "et al.", "vs": "vs.", "cf": "cf.", "wrt": "w.r.t.",
    "aka": "a.k.a.", "LaTeX": "LaTeX", "TeX": "TeX", "BibTeX": "BibTeX", "newline": " ", "quad": " ",
    "qquad": " ", "enspace": " ", "thinspace": " ", "space": " ", "item": "• ", "and": ", ", "cr": " ",
    "S": "§", "P": "¶", "deg": "°", "degree": "°", "textdegree": "°", "copyright": "©", "pounds": "£",
    "dag": "†", "ddag": "‡", "ldots": "…", "dots": "…", "dotsc": "…", "dotsb": "⋯", "cdots": "⋯",
    "textellipsis": "…", "slash": "/", "textbar": "|", "textless": "<", "textgreater": ">", "lbrace": "{",
    "rbrace": "}", "lbrack": "[", "rbrack": "]", "langle": "⟨", "rangle": "⟩", "vert": "|", "Vert": "‖",
    "mid": "|", "colon": ":", "lt": "<", "gt": ">", "prime": "′", "textasciitilde": "~",
    "textasciicircum": "^", "textunderscore": "_", "textbackslash": "", "backslash": "", "infinity": "∞",
    "eps": "ε", "textquotesingle": "'", "iff": "⇔", "implies": "⇒", "to": "→", "gets": "←", "le": "≤",
    "ge": "≥", "ne": "≠", "epsilon": "ε", "varepsilon": "ε", "phi": "φ", "varphi": "φ", "vartheta": "ϑ",
    "varrho": "ϱ", "star": "⋆", "ast": "*", "bullet": "•", "checkmark": "✓", "cmark": "✓", "xmark": "✗",
    "ell": "ℓ", "hbar": "ħ", "sim": "~", "backsim": "~", "textmu": "μ", "circ": "∘", "bigcirc": "◯",
    "setminus": "∖", "smallsetminus": "∖", "choose": " choose ", "over": "/", "bmod": " mod ", "lnot": "¬",
    "land": "∧", "lor": "∨", "owns": "∋", "textregistered": "®", "texttrademark": "™", "sharp": "♯",
    "flat": "♭", "triangle": "△", "square": "□", "Box": "□", "blacksquare": "■", "qed": "∎",
    "bigstar": "★", "tick": "✓", "imath": "ı", "jmath": "ȷ", "lVert": "‖", "rVert": "‖", "lvert": "|",
    "rvert": "|",
}  # fmt: skip
# Letters of other alphabets: TeX swallows the blank behind them (`\o stergaard`).
_LETTERS = {
    "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ",
    "aa": "å", "AA": "Å", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ",
    "DJ": "Đ", "ng": "ŋ", "NG": "Ŋ",
}  # fmt: skip
_FUNCTIONS = _names(
    """
    log ln lg exp sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth max min sup inf lim
    limsup liminf arg argmax argmin det dim gcd deg hom ker Pr mod softmax sign poly polylog tr rank diag
    var
    """
) - {"deg"}
_DOUBLE_STRUCK = re.compile(r"(?:bb)?([RNZQ])|bb([CPH])")  # what most authors call them
_BLACKBOARD = {"R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ", "P": "ℙ", "H": "ℍ"}
_FONTS = _names(
    """
    mathcal mathrm mathbf mathit mathsf mathtt mathscr mathfrak mathnormal boldsymbol bm pmb bold text
    mbox hbox fbox textrm textbf textit texttt textsc textsf textsl textup textmd textnormal emph
    underline overline uline ensuremath operatorname
    """
)
_BLACKBOARD_FONTS = {"mathbb", "Bbb", "mathds", "mathbbm"}
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304",
    ".": "\u0307", "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "d": "\u0323",
    "b": "\u0331", "r": "\u030a", "k": "\u0328", "t": "\u0361", "hat": "\u0302", "widehat": "\u0302",
    "check": "\u030c", "tilde": "\u0303", "widetilde": "\u0303", "acute": "\u0301", "grave": "\u0300",
    "dot": "\u0307", "ddot": "\u0308", "breve": "\u0306", "bar": "\u0304", "vec": "\u20d7",
    "mathring": "\u030a",
}  # fmt: skip
_ESCAPED = {
    "%": "%", "&": "&", "$": "$", "#": "#", "_": "_", "{": "{", "}": "}", "|": "‖", " ": " ", ",": " ",
    ";": " ", ":": " ", ">": " ", "!": "", "-": "", "/": "", "@": "", "(": "", ")": "", "[": " ", "]": " ",
    "\\": " ", "\n": " ", "+": "", "<": "", "*": "",
}  # fmt: skip
_DING = {"51": "✓", "52": "✓", "55": "✗", "56": "✗", "72": "★"}
_FRACTIONS = {"frac", "tfrac", "dfrac", "cfrac", "nicefrac", "sfrac", "flatfrac"}

# What a fraction shows without parentheses: a number, a word, a letter with its index.
_SIMPLE_OPERAND = re.compile(r"[\d.]*|[A-Za-z]{3,}|√?[^\W\d_](?:_\w)?[²³¹⁰⁴-⁹₀-₉′]*|∞|\([^()]*\)")

_SUPERSCRIPTS = dict(zip("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ", strict=True))
_SUBSCRIPTS = dict(zip("0123456789+-−=", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌", strict=True))

_LOST_GREEK = _names(
    """
    alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau
    phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
    """
)


@cache
def _symbols() -> dict[str, str]:
    """Macro → character, from pylatexenc: one or two characters beyond ASCII, so that no prose slips in."""
    table: dict[str, str] = {}
    for category in ("advanced-symbols", "latex-base"):
        for spec in get_default_latex_context_db().iter_macro_specs([category]):
            symbol = spec.simplify_repl
            if isinstance(symbol, str) and 0 < len(symbol) <= 2 and not symbol.isascii():
                table[spec.macroname] = symbol
    return table | _WORDS


# --- reading ------------------------------------------------------------------------------------------------


def unlatex(text: str) -> str:
    """The text without LaTeX. Blanks are not tidied; addresses (https://…) are left as they are."""
    if not _has_markup(text):
        return text
    text, addresses = _without_addresses(text)
    text = _repaired(text)
    text = _without_ties(text)
    text = _formulas(text)
    text = _Reader(text, math=False).read()
    text = _lost_words(text)
    return _with_addresses(_typography(text), addresses)


_PLAIN = re.compile(r"[^\\{}$^_]+")


_ROMAN = re.compile(r"(?:^|[\s(])(?:II|III|IV|VI)$")
_ISOTOPE = re.compile(r"\^\{?(\d{1,3})\}?(?=[A-Z][a-z]?\b|[A-Z][a-z]?[\d_({+-])")


class _Reader:
    """Reads one stretch of LaTeX from left to right; a group is read by a reader of its own."""

    def __init__(self, text: str, *, math: bool, depth: int = 0) -> None:
        self._text = text
        self._at = 0
        self._math = math
        self._depth = depth
        self._out: list[str] = []
        self._closing = _closing_braces(text)

    def read(self) -> str:
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "\\":
                self._macro()
            elif character == "{":
                self._write(self._inside(self._group()))
            elif character in "}$":
                self._at += 1
            elif character in "^_":
                self._script(character)
            elif plain := _PLAIN.match(self._text, self._at):
                self._write(plain.group())
                self._at = plain.end()
        return "".join(self._out)

    def _write(self, text: str) -> None:
        if text:
            self._out.append(text)

    def _last(self) -> str:
        return self._out[-1][-1] if self._out else ""

    def _next(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _word(self, word: str) -> None:
        """A word set off from its neighbours: `n\\log n` is "n log n"."""
        if self._last().isalnum() and word[:1].isalnum():
            self._write(" ")
        self._write(word)
        if self._next().isalnum() and word[-1:].isalnum():
            self._write(" ")

    def _inside(self, text: str) -> str:
        if self._depth > 40:  # nobody nests so deep; a hostile text might
            return re.sub(r"[\\{}$]", "", text)
        return _Reader(text, math=self._math, depth=self._depth + 1).read()

    def _group(self) -> str:
        """The inside of the group that begins here; of an unclosed one only the brace is passed."""
        start = self._at
        end = self._closing.get(start)
        if end is None:  # unclosed: only the brace goes
            self._at += 1
            return ""
        self._at = end + 1
        return self._text[start + 1 : end]

    def _argument(self) -> str | None:
        """A macro's argument: a group, or one character or macro; None where nothing but a blank follows."""
        start = self._at
        while self._next().isspace():
            self._at += 1
        if self._next() == "{":
            return self._group()
        if match := re.compile(r"\\(?:[A-Za-z]+|.)|[^\s{}\\$]", re.DOTALL).match(self._text, self._at):
            self._at = match.end()
            return match.group()
        self._at = start
        return None

    def _braced(self) -> str | None:
        """An argument only if it stands in braces right here."""
        return self._group() if self._next() == "{" else None

    def _option(self) -> str:
        """The inside of `[…]` right here, and nothing if there is none."""
        if match := re.compile(r"\[([^\]]{0,60})\]").match(self._text, self._at):
            self._at = match.end()
            return match[1]
        return ""

    # --- macros ---

    def _macro(self) -> None:
        match = re.compile(r"\\([A-Za-z]+)\*?").match(self._text, self._at)
        if match is None:
            self._escaped()
            return
        name = match[1]
        self._at = match.end()
        if reader := self._reader_of(name):
            reader(name)
        elif name in _LETTERS and not self._math:
            if self._next() == " ":
                self._at += 1
            self._write(_LETTERS[name])
            self._drop_empty_group()
        elif name in _symbols():
            self._symbol(_symbols()[name])
        elif self._math and (double := _DOUBLE_STRUCK.fullmatch(name)):
            self._symbol(_BLACKBOARD[double[1] or double[2]])
        else:
            self._unknown(name)

    def _reader_of(self, name: str) -> Callable[[str], None] | None:
        if name in _NOTHING:
            return self._nothing
        if name in _NOTHING_WITH_ARGUMENT or _CITATION.fullmatch(name):
            return self._dropped
        if name in _FRACTIONS:
            return self._fraction
        if name in _ARGUMENT_OF:
            return self._one_of_several
        if name in _BLACKBOARD_FONTS:
            return self._blackboard
        if name in _FONTS and (self._math or name.startswith("math") or self._next() == "{"):
            return self._operator if name in ("operatorname", "text", "mathrm") and self._math else self._font
        if name in _ACCENTS:
            return self._accent
        if name in _FUNCTIONS:
            return self._function
        own = {
            "href": self._link, "url": self._address, "footnote": self._footnote, "sqrt": self._root,
            "binom": self._binomial, "tbinom": self._binomial, "dbinom": self._binomial,
            "pmod": self._modulo, "not": self._not, "ding": self._ding, "xrightarrow": self._long_arrow,
            "textsuperscript": self._raised, "textsubscript": self._lowered,
            "char": self._character, "unicode": self._character,
        }  # fmt: skip
        return own.get(name)

    def _escaped(self) -> None:
        escaped = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if escaped in _ACCENTS and not (self._math and escaped in "=.'`"):
            self._accent(escaped)
        elif escaped.isdigit() or not escaped:
            self._write(escaped)
        else:
            self._write(_ESCAPED.get(escaped, escaped))

    def _nothing(self, name: str) -> None:
        # \left. stands for no delimiter at all; \bf swallows the blank behind it.
        is_delimiter = name in ("left", "right")
        is_switch = not is_delimiter and not name.startswith(("big", "Big"))
        if (is_delimiter and self._next() == ".") or (is_switch and self._next() == " "):
            self._at += 1
        self._drop_empty_group()
        if name in ("linebreak", "nolinebreak"):
            self._option()

    def _drop_empty_group(self) -> None:
        if self._text.startswith("{}", self._at):
            self._at += 2

    def _dropped(self, name: str) -> None:
        while self._option():
            pass
        if name == "color" and (mangled := re.compile(r"\{[a-z]+([A-Z]\w*)\}").match(self._text, self._at)):
            # \textcolor{red}{D}ecoupled came through a converter as \color{redD}ecoupled
            self._at = mangled.end()
            self._write(mangled[1])
            return
        self._braced()
        if name == "begin" and self._next() == "{":  # \begin{tabular}{ll}
            self._group()

    def _fraction(self, name: str) -> None:
        parts = [self._inside(self._argument() or "").strip() for _ in range(2)]
        top, bottom = (part if _SIMPLE_OPERAND.fullmatch(part) else f"({part})" for part in parts)
        self._word(f"{top}/{bottom}" if top and bottom else top or bottom)

    def _one_of_several(self, name: str) -> None:
        count, index = _ARGUMENT_OF[name]
        self._option()
        arguments: list[str] = []
        while len(arguments) < count and self._next() == "{":
            arguments.append(self._group())
        if arguments:
            self._write(self._inside(arguments[min(index, len(arguments) - 1)]))

    def _blackboard(self, name: str) -> None:
        letters = self._inside(self._argument() or "").strip()
        self._write(
            "".join(_BLACKBOARD.get(letter, letter) for letter in letters) if len(letters) <= 2 else letters
        )

    def _accent(self, name: str) -> None:
        mark = _ACCENTS[name]
        if len(name) == 1 and name.isalpha() and self._math:  # \u, \v … are no accents in a formula
            self._unknown(name)
            return
        if not name.isalpha() and not (self._next().isalpha() or self._next() in "{\\"):
            self._write({"'": "'", '"': '"', "`": "`", "^": "^", "~": "~", ".": "."}.get(name, ""))
            return
        if name in ("b", "c", "d", "k", "r", "t", "u", "v", "H") and self._next() not in ("{", " ", "\\"):
            self._unknown(name)
            return
        argument = self._argument()
        if argument is None:
            self._write(name if name.isalpha() else "")
            return
        letters = self._inside(argument).replace("ı", "i").replace("ȷ", "j")
        if len(letters) == 1 or name in ("'", '"', "`", "^", "~"):
            composed = unicodedata.normalize("NFC", letters[:1] + mark) if letters else ""
            if len(composed) == 1 or (name.isalpha() and letters):
                self._write(composed + letters[1:])
                return
            # No such letter, so the sign was meant as itself: \"quoted\".
            self._write((name if name in "'\"`" else "") + letters)
            return
        self._write(letters)

    def _function(self, name: str) -> None:
        self._word(name)

    def _font(self, name: str) -> None:
        self._write(self._inside(self._argument() or ""))

    def _operator(self, name: str) -> None:
        self._word(self._inside(self._argument() or ""))

    def _symbol(self, symbol: str) -> None:
        # TeX needs the blank behind a control word, and a reader not: \ell _1, 10 \% stay; "\beta -VAE" is
        # β-VAE.
        if self._next() == " " and re.compile(r" [-_^]").match(self._text, self._at):
            self._at += 1
        self._drop_empty_group()
        if len(symbol) > 1 and symbol.isalpha():
            self._word(symbol)
        else:
            self._write(symbol)

    def _link(self, name: str) -> None:
        address = self._argument() or ""
        label = self._inside(self._braced() or "").strip()
        self._write(_labelled(address.strip(), label))

    def _address(self, name: str) -> None:
        self._write((self._argument() or "").replace("\\", ""))

    def _root(self, name: str) -> None:
        degree = self._option()
        inside = self._inside(self._argument() or "").strip()
        sign = {"3": "∛", "4": "∜"}.get(degree) or (_raised(degree) if degree.isalnum() else "") + "√"
        self._write(sign + (inside if len(inside) <= 1 or inside.isdigit() else f"({inside})"))

    def _binomial(self, name: str) -> None:
        top, bottom = (self._inside(self._argument() or "").strip() for _ in range(2))
        self._word(f"({top} choose {bottom})")

    def _footnote(self, name: str) -> None:
        self._option()
        if note := self._inside(self._braced() or "").strip():
            self._write(f" ({note})")

    def _modulo(self, name: str) -> None:
        self._write(f" (mod {self._inside(self._argument() or '').strip()})")

    def _not(self, name: str) -> None:
        negated = self._inside(self._argument() or "")
        composed = unicodedata.normalize("NFC", negated[:1] + "\u0338")
        self._write((composed if len(composed) == 1 else f"not {negated[:1]}") + negated[1:])

    def _ding(self, name: str) -> None:
        self._write(_DING.get((self._braced() or "").strip(), ""))

    def _raised(self, name: str) -> None:
        self._write(_raised(self._inside(self._argument() or "")))

    def _lowered(self, name: str) -> None:
        self._write(_lowered(self._inside(self._argument() or "")))

    def _character(self, name: str) -> None:
        """`\\char"2212`, `\\char 45`, `\\unicode{x2013}`: the character by its number."""
        number = re.compile(r"\s*\{?\s*(?:[\"xX]([0-9A-Fa-f]{1,6})|(\d{1,7}))\s*\}?").match(
            self._text, self._at
        )
        if number is None:
            return
        self._at = number.end()
        code = int(number[1], 16) if number[1] else int(number[2])
        if 32 <= code < 0x110000 and not 0xD800 <= code < 0xE000:
            self._write(chr(code))

    def _long_arrow(self, name: str) -> None:
        self._option()
        label = self._inside(self._braced() or "").strip()
        self._write(f" →({label}) " if label else " → ")

    def _unknown(self, name: str) -> None:
        """A macro of the authors' own, mostly their method's name; with an argument, mostly a font for it."""
        if re.compile(r"\[[^\]]{0,60}\]\{").match(self._text, self._at):
            self._option()
        argument = self._braced()
        if argument and argument.strip():
            self._write(self._inside(argument))
        else:
            self._word(name)

    # --- raised and lowered ---

    def _script(self, sign: str) -> None:
        last = self._last()
        following = self._text[self._at + 1 : self._at + 2]
        # A formula may begin with a script: F$_1$ belongs to the F before it.
        attached = (
            (not last.isspace() if last else self._math) and bool(following) and not following.isspace()
        )
        if sign == "_":
            # Outside a formula most underscores belong to names: mini_sudoku. β_1 and H_{in} do not.
            attached = attached and (self._math or following in "{\\" or self._is_lone_letter(following))
        isotope = _ISOTOPE.match(self._text, self._at) if sign == "^" and not last.isalnum() else None
        if isotope and not attached:  # ^4He, ^{13}C
            self._write(_raised(isotope[1]))
            self._at = isotope.end()
            return
        if not attached or following in "^_":
            self._write(sign)
            self._at += 1
            return
        self._at += 1
        digits = re.compile(r"[+-]?\d+").match(self._text, self._at)
        if not self._math and digits and following not in "{\\":  # 10^25 outside a formula means all of it
            self._at = digits.end()
            argument = digits.group()
        else:
            argument = self._argument() or ""
            if argument.startswith("\\") and self._next() == "{":  # x_\text{max}
                argument += f"{{{self._group()}}}"
        inside = self._inside(argument).strip()
        self._write(_raised(inside) if sign == "^" else _lowered(inside))

    def _is_lone_letter(self, following: str) -> bool:
        """β_1, C_Phi: one letter before, and a digit or the name of a Greek letter behind."""
        before = "".join(self._out[-2:])[-8:]
        if _ROMAN.search(before):  # II_1 factors
            return following.isdigit()
        before = before[-2:]
        lone = len(before) < 2 or not (before[0].isalnum() or before[0] in "_-./")
        return (
            lone
            and before[-1:].isalpha()
            and (following.isdigit() or bool(_GREEK_NAME.match(self._text, self._at + 1)))
        )


def _closing_braces(text: str) -> dict[int, int]:
    """Where each group ends, by where it begins: in one pass, so that nesting costs only length."""
    closing: dict[int, int] = {}
    open_at: list[int] = []
    for brace in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if brace.group() == "{":
            open_at.append(brace.start())
        elif brace.group() == "}" and open_at:
            closing[open_at.pop()] = brace.start()
    return closing


def _raised(inside: str) -> str:
    inside = _greek_words(inside)
    if inside in ("∘", "circ", "°", "o"):
        return "°"
    if inside in ("prime", "′", "'") or (inside and not inside.strip("′")):
        return {2: "″", 3: "‴"}.get(inside.count("′"), "′" * max(inside.count("′"), 1))
    if inside in ("*", "⋆", "∗", "st", "nd", "rd", "th", "†", "‡", "®", "™"):
        return inside
    if inside and all(character in _SUPERSCRIPTS for character in inside):
        return "".join(_SUPERSCRIPTS[character] for character in inside)
    return _script("^", inside)


def _lowered(inside: str) -> str:
    inside = _greek_words(inside).lstrip("_")  # p_{_N}, set lower by hand
    if inside and all(character in _SUBSCRIPTS for character in inside):
        return "".join(_SUBSCRIPTS[character] for character in inside)
    return _script("_", inside)


def _script(sign: str, inside: str) -> str:
    if not inside:
        return ""
    is_whole = len(inside) == 1 or re.fullmatch(r"[\w.]+|\([^()]*\)", inside)
    return sign + (inside if is_whole else f"({inside})")


def _labelled(address: str, label: str) -> str:
    """A link in one line: the address, with the label before it where that says more than "here"."""
    if not label or re.fullmatch(
        r"(?:this|our|the)? ?(?:here|https? )?(?:url|link|here|page|website)?", label, re.IGNORECASE
    ):
        return address
    if "//" in label or "\ue000" in label or re.fullmatch(r"[\w.-]+\.\w+/\S*", label) or label in address:
        return address
    return f"{label} ({address})"


# --- before and after ---------------------------------------------------------------------------------------

_ADDRESS = re.compile(r"(?:https?://|www\.)(?:\\[_%#&~]|[^\s{}\\$<>\"“”\ue000\ue001])+")
# An address and, in braces, the label that a converter left of \href{address}{label}.
_LABELLED = re.compile(r"\ue000(\d+)\ue001/?\{((?:[^{}]|\{[^{}]*\})*)\}")


def _without_addresses(text: str) -> tuple[str, list[str]]:
    """The text with each address replaced by a mark, so that `_`, `~` and `--` in them stay."""
    addresses: list[str] = []
    text = re.sub(r"\\allowbreak\s?", "", text)

    def keep(match: re.Match[str]) -> str:
        address = match.group().rstrip(".,;:!?'*")
        while address.endswith(")") and address.count(")") > address.count("("):
            address = address[:-1]
        addresses.append(re.sub(r"\\(.)", r"\1", address))
        return f"\ue000{len(addresses) - 1}\ue001{match.group()[len(address) :]}"

    text = _ADDRESS.sub(keep, text)

    def join(match: re.Match[str]) -> str:
        label = match[2]
        nested = re.fullmatch(r"[a-z]+\{([^{}]*)\}", label)
        return _labelled(f"\ue000{match[1]}\ue001", nested[1] if nested else label)

    return _LABELLED.sub(join, text), addresses


def _with_addresses(text: str, addresses: list[str]) -> str:
    return re.sub(r"\ue000(\d+)\ue001", lambda match: addresses[int(match[1])], text)


_LOST_MACRO = re.compile(
    r"(?<![A-Za-z\\])(textbf|textit|texttt|textsc|textsf|textrm|text|emph|mathcal|mathbb|mathbf|mathrm|mathsf|mathtt|mathscr"
    r"|mathfrak|boldsymbol|operatorname|underline|overline|sqrt|widehat|widetilde|mbox|frac|tfrac)\{"
)
_LOST_COLOUR = re.compile(
    r"(?<![A-Za-z\\])(?:my|soft|dark|light|deep)?(?:red|green|blue|teal|orange|purple|magenta|cyan|pink|brown|black|gray|grey|violet)\{"
)
# What a string literal of some language made of \frac, \times, \text, \tau, \beta, \bar, \rho, \right …
_ATE_BACKSLASH = (
    (re.compile(r"[\f ]rac(?=\{)"), r"\\frac"),
    (re.compile(r"\t(imes|ext\w*\{|heta|au|o |o\b|ilde)"), r"\\t\1"),
    (re.compile(r"\x08(eta|ar|oldsymbol|ig|inom|ullet)"), r"\\b\1"),
    (re.compile(r"\r(ho|ight|angle|m\b)"), r"\\r\1"),
    (re.compile(r"\x0b(ar\w+|ec)"), r"\\v\1"),
)


_ATE = re.compile(r"[\t\f\r\x08\x0b]| rac\{")

# Fr'echet and Schr"odinger: \' and \" without their backslash, in the middle of a name. "they're" is none.
_LOST_ACCENT = re.compile(
    r"(?<=[A-Za-z]{2})'(?=e[a-z]{3})|(?<=\bL)'(?=evy)|(?<=\bR)'(?=enyi)|(?<=\bB)'(?=ezier)|(?<=\bP)'(?=olya)|(?<=oincar)'(?=e\b)"
    r"|(?<=[A-Za-z])\"(?=[aou][a-z]{2})"
)


def _accented(match: re.Match[str]) -> str:
    return f"\\{match.group()}"


def _repaired(text: str) -> str:
    """Mangled markup as LaTeX again, where there is one way to read it."""
    # Looking for a character costs a hundredth of a pattern that begins with a choice; most texts have none.
    if _ATE.search(text):
        for pattern, replacement in _ATE_BACKSLASH:
            text = pattern.sub(replacement, text)
    if "{" in text:
        text = _LOST_MACRO.sub(r"\\\1{", text)
        text = _LOST_COLOUR.sub("{", text)
    if "\\" in text:
        text = re.sub(r"\\(?=\d+\))", "", text)  # "\3) Training", an enumeration
        text = re.sub(r"\\\$\s?(?=\d)|(?<!\\)\\(?=\d)", "\ue002", text)  # \$1.4M, and \1.4M, which was \$1.4M
        if re.search(r"\\\"[\s.,;:)]|\\\"$", text):  # \"quoted\": string escapes, not diaereses
            text = text.replace('\\"', '"')
    if "'" in text or '"' in text:
        text = _LOST_ACCENT.sub(_accented, text)
    # A comment's sign, its line break gone.
    return re.sub(r"(?<=\s)%\s(?=[A-Z])", "", text) if "%" in text else text


def _without_ties(text: str) -> str:
    """`~` as TeX means it, with the citation it mostly leads to."""
    if "~" not in text and "\\" not in text:
        return text
    text = re.sub(r"\s*~\s*(?=\\(?:no|paren|text|auto|foot|full|super|alt|al)?[cC]ite)", "", text)
    text = re.sub(r"\s*\\\(?(?:no|paren|text)?[cC]ite[a-zA-Z]*\*?(?:\[[^\]]*\])*\{[^{}]*\}", "", text)
    # The key of a citation that lost its macro: ~sheng2024hybridflow, ~2023opencompass; of a reference:
    # ~sec:results.
    text = re.sub(
        r"\s?~(?:[a-z][a-z-]*(?:19|20)\d\d[a-z0-9_-]*|(?:19|20)\d\d[a-z]{3,}\w*|(?:sec|fig|tab|eq|app|alg):[\w:-]+)",
        "",
        text,
    )
    text = re.sub(r"\\~(?=\d)", "~", text)  # \~8B
    text = re.sub(r"(?<![\s(\[/\\0-9])~|(?<=\d)~(?!\d)", " ", text)
    return re.sub(r"(?:(?<=\s)|^)~(?!\s?[\d$.\\\ue002])|(?<=[(\[])~(?!\s?[\d$.\\\ue002])", "", text)


_INLINE = re.compile(
    r"\$\$(?P<display>(?:\\.|[^$\\])+)\$\$|\$(?P<inline>(?:\\.|[^$\\]){1,600})\$|\\\((?P<round>.{1,600}?)\\\)|\\\[(?P<square>.{1,600}?)\\\]",
    re.DOTALL,
)


def _formulas(text: str) -> str:
    """Formulas read as such. What is left of `$` afterwards is money where a number follows."""
    done = 0
    out: list[str] = []
    while match := _INLINE.search(text, done):
        inline = match["inline"]
        if inline is not None and not _is_formula(inline, text[match.end() : match.end() + 1]):
            out.append(text[done : match.start() + 1])  # this $ opens nothing; the next may
            done = match.start() + 1
            if re.match(r"\d", text[done : done + 1]):
                out[-1] = f"{out[-1][:-1]}\ue002"
            continue
        formula = match["display"] or inline or match["round"] or match["square"] or ""
        readable = _Reader(formula.replace("~", " "), math=True).read().strip()
        before = text[done : match.start()]
        # What the reader above writes must not be read as LaTeX a second time.
        out += [before, _shielded(_set(readable))]
        done = match.end()
    rest = text[done:]
    out.append(rest)
    return re.sub(r"\$(?=\s?\d)", "\ue002", "".join(out))


_HALF_SPACED = re.compile(r"(?<=[^\s({\[|:])([∈∉⊂⊆⊃⊇≤≥≠≈≡∼≪≫→←↦=∝]|×(?= [\w(])) (?=\S)")
_PRIMES = re.compile(r"(?<=[\w)\]}])('{1,3})(?![A-Za-z])")


def _set(formula: str) -> str:
    """The formula as a printer sets it: relations with a blank on both sides or none, primes as primes."""
    formula = _HALF_SPACED.sub(r" \1 ", formula)
    return _PRIMES.sub(lambda primes: "′″‴"[len(primes[1]) - 1], formula) if "'" in formula else formula


_SHIELD = str.maketrans(
    {"{": "\ue003", "}": "\ue004", "^": "\ue005", "_": "\ue006", "$": "\ue002", "~": "\ue007"}
)
_UNSHIELD = str.maketrans(
    {"\ue002": "$", "\ue003": "{", "\ue004": "}", "\ue005": "^", "\ue006": "_", "\ue007": "~"}
)


def _shielded(text: str) -> str:
    return text.translate(_SHIELD)


def _is_formula(inside: str, behind: str) -> bool:
    """Whether `$…$` is a formula rather than two sums of money.

    Pandoc's rule (MANUAL, tex_math_dollars): no blank inside either dollar, no digit behind the second.
    Formulas that break it carry LaTeX.
    """
    # $-$19 and $>$0.99: nobody asks for a price of ">".
    if re.search(r"[\\^_]|textbf\{|mathcal", inside) or re.fullmatch(r"\s*[-+±<>=~*/|≤≥×→−]+\s*", inside):
        return True
    if inside[0].isspace() or inside[-1].isspace():
        return len(inside.strip()) <= 12 and not re.match(r"\s*\d", inside)
    return not behind.isdigit() and not re.match(r"[\d.,]+ ?(?:[A-Za-z]{2,} ){2,}", inside)


_GREEK_NAME = re.compile("(?:" + "|".join(sorted(_LOST_GREEK, key=len, reverse=True)) + r")(?![a-z]*[a-z])")
_GREEK_RUN = re.compile(
    "(?:"
    + "|".join(sorted([*_LOST_GREEK, "circ", "times", "cdot", "infty", "ell"], key=len, reverse=True))
    + ")"
)


def _greek_words(text: str) -> str:
    """`Phicirc Psi` in an index: names of symbols without their backslashes, and nothing else."""
    if re.fullmatch(rf"(?:{_GREEK_RUN.pattern}|[\s\d,+*/()-]|\b[A-Za-z]\b)+", text):
        return _GREEK_RUN.sub(lambda name: _symbols().get(name.group(), name.group()), text)
    return text


# Symbols' names that are no English words, as a converter leaves them when it takes the backslash.
_LOST_SYMBOLS = (
    *("infty", "nabla", "neq", "leq", "geq", "propto", "varepsilon", "langle", "rangle", "rightarrow"),
    *("Rightarrow", "leftrightarrow", "cdot", "approx", "otimes", "oplus", "subseteq", "forall", "lceil"),
    *("rceil", "lfloor", "rfloor", "sim", "pm"),  # the last two between numbers only
)
_LOST_SYMBOL = re.compile(
    rf"(?<![A-Za-z_.\-/])({'|'.join(_LOST_SYMBOLS[:-2])})"
    r"(?=$|[\s\d,.;:)\]^=<>*+²³¹⁰-₎-]|[A-Z]{3})"
)
_LOST_BETWEEN = re.compile(r"(?<!\S)([A-Za-zα-ωΑ-Ω])\s(gg|ll)\s(?=[A-Za-zα-ωΑ-Ω]{1,4}\b)")


def _lost_words(text: str) -> str:
    if "times" in text:
        text = re.sub(r"(?<=\d)timessim(?=\d)", "×~", text)
        text = re.sub(r"(?<=[\d)])\s?times(?![a-z])", _times, text)
    if any(name in text for name in _LOST_SYMBOLS):
        text = re.sub(r"(?<=_[a-z])rightarrow(?=\s)", " →", text)
        text = re.sub(
            r"(?<=\d)\s?(rightarrow|sim|pm|approx)\s?(?=\d)", lambda match: _symbols()[match[1]], text
        )
        text = _LOST_SYMBOL.sub(lambda match: _symbols()[match[1]], text)
    if "gg" in text or "ll" in text:
        text = _LOST_BETWEEN.sub(lambda match: f"{match[1]} {_symbols()[match[2]]} ", text)
    if "boldsymbol" in text:
        text = re.sub(r"\bboldsymbol\s?(?=\S)", "", text)
    if "text" in text:
        text = re.sub(r"\btext(?:bf|it|tt|sc) (?=[A-Z])", "", text)
    if "_" not in text:
        return text
    return re.sub(
        r"(?<![A-Za-z\d])([A-Z])_([A-Z][a-z]+)(?![a-z])", lambda m: f"{m[1]}_{_greek_words(m[2])}", text
    )


def _times(match: re.Match[str]) -> str:
    # "1.6times" lost a backslash; "3 times" is English unless a number follows.
    if match.group()[0].isspace():
        return " ×" if re.match(r"\s\d", match.string[match.end() :]) else match.group()
    return "×"


def _typography(text: str) -> str:
    if "``" in text or "''" in text:
        text = re.sub(r"``|(?:(?<=[\s(\[])|^)''(?=\w)", "“", text).replace("''", "”")
    if "`" in text:
        text = re.sub(r"(?<![\w`])`([^`'\n]{1,60})'(?!\w)", r"‘\1’", text)
    if "--" in text:
        text = re.sub(r"(?<!-)---(?!-)", "—", text)
        text = re.sub(r"(?<=\d)--(?=\d)|(?<=\w)--(?=\w)|(?<=\s)--(?=\s)", "–", text)
    return text.translate(_UNSHIELD)
