"""From the text of a filter to its tree.

Written by hand rather than with a parser generator: what a reader needs from this parser is the sentence that
says what is wrong and how to mend it, and that depends on where in the grammar the mistake stands. One pass
over the characters, one over the tokens; brackets are counted, so recursion is bounded by MAX_DEPTH.

    filter  = or                      or  = and { "OR" and }     and = not { ["AND" | "ANDNOT"] not }
    not     = { "NOT" | "-" } atom    atom = "(" or ")" | field ":" value | compare | value
    value   = word | phrase | exact | "(" or ")"      word = chars ["*"]      phrase = '"' words '"'
    exact   = '="' text '"'           compare = (upvotes | stars | comments) (>= | > | <= | < | =) digits
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Literal, NoReturn, cast

from subscriptions.filters import fields, glossary, normal, people
from subscriptions.filters.errors import FilterError
from subscriptions.filters.tree import (
    MAX_ATOMS,
    MAX_CHARACTERS,
    MAX_DEPTH,
    NUMBERS,
    OPERATORS,
    Atom,
    Compare,
    Exact,
    Filter,
    Node,
    Or,
    Value,
    Word,
    all_of,
    any_of,
    compact,
    finds_something,
    is_bare,
    negated,
    words,
)

MIN_PREFIX = 3
MAX_DIGITS = 9
# One sign may stand for eighteen letters (ﷺ). What is twice too long so is refused before it costs time;
# below that the canonical form decides, which is shorter by what means nothing.
_MAX_SPELLED_OUT = 2 * MAX_CHARACTERS

# One character for one, so that columns stay those of the typed text.
_ASCII_FORMS = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_TYPED_FORMS = str.maketrans(
    {
        **{chr(code): chr(plain) for code, plain in _ASCII_FORMS.items()},
        **dict.fromkeys("“”„‟«»「」『』＂", '"'),
        **dict.fromkeys("‐‑‒–—―−﹣－", "-"),
        "\u3000": " ",
    }
)
_EDGES = " ,.;:!?'’‘`…、。·"
_FIELD = re.compile(r"([A-Za-z_]+):")
_NUMBER_NAME = re.compile(r"([A-Za-z_]+)(?=[<>=≤≥])")
_COMPARISON = re.compile(r"\s*(>=|<=|=>|=<|≥|≤|>|<|=)\s*([^\s()\"]*)")
_SAME_COMPARISON = {"≥": ">=", "≤": "<="}
_MOST_UNTRANSLATED = 3  # words a filter, for which English is proposed
_MOST_TRANSLATED = 30  # characters of such a word
_BREAKS = frozenset('()"')

_Kind = Literal["(", ")", "NOT", "AND", "OR", "ANDNOT", "field", "word", "phrase", "exact", "compare", "end"]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    text: str  # the content: of a phrase without its quotes, of a field its full name
    column: int  # 1-based
    end: int  # index after the last character
    number: int = 0  # of a comparison; its operator is in `operator`
    operator: str = ""
    typed: str = ""  # as typed, for messages


def parse(text: str) -> Filter:
    """The filter that `text` says. Raises FilterError, and nothing else, for what is not one."""
    if len(text) > MAX_CHARACTERS:
        raise FilterError(
            f"this filter has {len(text):,} characters; {MAX_CHARACTERS:,} is the limit.",
            column=MAX_CHARACTERS + 1,
            cure="Shorten it, or make two filters of it.",
            text=text,
        )
    if not text.isascii() and len(unicodedata.normalize("NFKC", text)) > _MAX_SPELLED_OUT:
        raise _too_long_in_full(text)
    return _Parser(text).filter()


def _too_long_in_full(text: str) -> FilterError:
    long_signs = (at for at, char in enumerate(text) if len(unicodedata.normalize("NFKC", char)) > 1)
    return FilterError(
        f"written out in full this filter has more than {MAX_CHARACTERS:,} characters.",
        column=next(long_signs, 0) + 1,
        cure="Shorten it, or make two filters of it.",
        text=text,
    )


def clean(text: str) -> str:
    """A value in the one form kept in trees: NFKC, one kind of dash, single blanks, nothing at the edges."""
    previous = None
    while text != previous:
        previous = text
        text = unicodedata.normalize("NFKC", text).translate(_TYPED_FORMS).replace('"', " ")
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
        text = " ".join(text.split()).strip(_EDGES)
    return text


class _Lexer:
    def __init__(self, text: str) -> None:
        self.typed = text
        self.text = text.translate(_TYPED_FORMS)
        self.at = 0
        self.tokens: list[_Token] = []

    def fail(self, column: int, message: str, cure: str) -> NoReturn:
        raise FilterError(message, column=column, cure=cure, text=self.typed)

    def run(self) -> list[_Token]:
        self._refuse_unreadable()
        while True:
            while self.at < len(self.text) and self.text[self.at].isspace():
                self.at += 1
            if self.at == len(self.text):
                break
            self._next()
        self.tokens.append(_Token("end", "", len(self.text.rstrip()) + 1, len(self.text)))
        return self.tokens

    def _refuse_unreadable(self) -> None:
        for index, char in enumerate(self.typed):
            if unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r":
                self.fail(index + 1, "there is an invisible control character here.", "Delete it.")

    def _add(self, kind: _Kind, text: str, start: int, *, number: int = 0, operator: str = "") -> None:
        typed = self.typed[start : self.at]
        self.tokens.append(_Token(kind, text, start + 1, self.at, number, operator, typed))

    def _next(self) -> None:
        start = self.at
        char = self.text[start]
        if char in "()":
            if char == "(" and self._follows_a_word():
                self._missing_blank(start, "bracket")
            self.at += 1
            self._add("(" if char == "(" else ")", char, start)
        elif char == '"':
            if self._follows_a_word():
                self._missing_blank(start, "quotation mark")
            self._add("phrase", self._quoted(start), start)
        elif char == "=":
            if self.text[start + 1 : start + 2] != '"':
                self.fail(start + 1, "= stands before a quotation mark only.", 'Write ="exact words".')
            self.at += 1
            self._add("exact", self._quoted(start + 1), start)
        elif char == "-":
            following = self.text[start + 1 : start + 2]
            if not following or following.isspace() or following == ")":
                self.fail(
                    start + 1,
                    "this - leaves nothing out.",
                    "Put it right before a word, as in -survey, or remove it.",
                )
            self.at += 1
            self._add("NOT", "-", start)
        else:
            self._word(start)

    def _follows_a_word(self) -> bool:
        if not self.tokens or self.at == 0:
            return False
        last = self.tokens[-1]
        return last.end == self.at and last.kind in ("word", "phrase", "exact", "compare")

    def _missing_blank(self, start: int, what: str) -> NoReturn:
        last = self.tokens[-1].typed
        name = _full_name(last)
        if name is not None:
            self.fail(
                start + 1, f"a colon is missing after {last}.", f"Write {last}: and the rest behind it."
            )
        self.fail(start + 1, f"this {what} touches the word before it.", f"Put a blank after {_short(last)}.")

    def _quoted(self, quote: int) -> str:
        """The text in quotation marks, of which the first stands at `quote`."""
        end = self.text.find('"', quote + 1)
        if end < 0:
            rest = self.typed[quote + 1 :].split()
            cure = f'Put " after {_short(rest[-1])}.' if rest else 'Remove it, or write "words in quotes".'
            self.fail(quote + 1, "this quotation mark is never closed.", cure)
        self.at = end + 1
        following = self.text[self.at : self.at + 1]
        if following == "*":
            self.fail(
                self.at + 1, "* does not work after a phrase.", "Put it after a single word, as in agent*."
            )
        if following and not following.isspace() and following not in _BREAKS:
            self.fail(self.at + 1, "this touches the quotation mark before it.", "Put a blank between them.")
        return self.typed[quote + 1 : end]

    def _word(self, start: int) -> None:
        end = start
        while end < len(self.text) and self.text[end] not in _BREAKS and not self.text[end].isspace():
            end += 1
        run = self.text[start:end]
        after_field = bool(self.tokens) and self.tokens[-1].kind == "field" and self.tokens[-1].end == start
        if not after_field:
            if run in OPERATORS:
                self.at = end
                self._add(cast(_Kind, run), run, start)
                return
            colon = _FIELD.match(run)
            if colon:
                self._field(start, colon[1])
                return
            if self._compare(start, run):
                return
            self._refuse_signs(start, run)
        self.at = end
        self._add("word", self.typed[start:end], start)

    def _field(self, start: int, typed: str) -> None:
        name = _full_name(typed)
        self.at = start + len(typed) + 1
        rest = self.text[self.at :]
        if name is None:
            self._unknown_field(start, typed)
        if not rest or rest[0].isspace() or rest[0] == ")":
            following = rest.split(maxsplit=1)
            example = _short(following[0]) if following and rest[0] != ")" else "..."
            self.fail(
                self.at + 1,
                f"nothing follows {typed}: directly.",
                f"Write the value right behind the colon: {typed}:{example}",
            )
        self._add("field", name, start)

    def _unknown_field(self, start: int, typed: str) -> NoReturn:
        lowered = typed.casefold()
        value = self.text[self.at :].split(maxsplit=1)[:1]
        if lowered in NUMBERS:
            self.fail(
                start + len(typed) + 1,
                f"{lowered} is a number and takes no colon.",
                f"Write {lowered}>=20, or another figure.",
            )
        foreign = fields.FOREIGN_NAMES.get(lowered)
        if foreign in NUMBERS:
            self.fail(start + 1, f"there is no field {_short(typed)}.", f"Write {foreign}>=20.")
        if lowered in fields.DATE_NAMES:
            self.fail(
                start + 1,
                "filters know no dates; each mail brings the papers of its own day.",
                f"Remove {_short(typed)}: and its value.",
            )
        near = foreign or next(
            iter(get_close_matches(lowered, [*fields.FIELDS, *fields.SHORT_NAMES], n=1, cutoff=0.6)), None
        )
        as_text = _short(f"{typed}:{value[0]}" if value else f"{typed}:", 30).replace('"', "")
        text_cure = f'put it in quotes to search for it as text: "{as_text}".'
        if near:
            cure = f"Did you mean {near}: ? If not, {text_cure}"
        else:
            cure = f"Fields are {', '.join(fields.FIELDS)}. Or {text_cure}"
        self.fail(start + 1, f"there is no field {_short(typed)}.", cure)

    def _compare(self, start: int, run: str) -> bool:
        """Read upvotes>=20, blanks round the sign allowed; False if this is no comparison."""
        name = _NUMBER_NAME.match(run)
        if run[0] in "<>≤≥":
            self.fail(
                start + 1,
                f"{run[0]} needs a name before it.",
                f"Write {', '.join(NUMBERS[:-1])} or {NUMBERS[-1]} before it, as in upvotes>=20.",
            )
        if name:
            typed = name[1]
            if typed.casefold() not in NUMBERS:
                self._unknown_number(start, typed, run)
        elif run.casefold() in NUMBERS:
            typed = run
        else:
            return False
        after = start + len(typed)
        match = _COMPARISON.match(self.text, after)
        if match is None or (match[1] == "=" and self.text.startswith('"', match.end())):
            return False
        sign, digits = match[1], match[2]
        column = match.start(1) + 1
        if sign in ("=>", "=<"):
            self.fail(column, f"{sign} is not a comparison.", f"Write {typed}{sign[1]}={digits or '20'}.")
        if not digits:
            self.fail(match.end() + 1, f"a number is missing after {sign}.", f"Write {typed}{sign}20.")
        if not (digits.isascii() and digits.isdigit()):
            meant = re.match(r"=?[0-9]{1,9}", digits)
            self.fail(
                match.start(2) + 1,
                f"{_short(digits)} is not a whole number.",
                f"Write {typed}{sign}{meant.group() if meant else '20'}.",
            )
        if len(digits.lstrip("0")) > MAX_DIGITS:
            self.fail(match.start(2) + 1, "this number is too large.", f"Use at most {MAX_DIGITS} digits.")
        self.at = match.end()
        sign = _SAME_COMPARISON.get(sign, sign)
        self._add("compare", typed.casefold(), start, number=int(digits), operator=sign)
        return True

    def _unknown_number(self, start: int, typed: str, run: str) -> NoReturn:
        lowered = typed.casefold()
        if _full_name(typed) is not None:
            name = _short(typed)
            self.fail(start + len(typed) + 1, f"{name} takes a colon.", f"Write {name}: and the value.")
        near = fields.FOREIGN_NAMES.get(lowered)
        if near not in NUMBERS:
            near = next(iter(get_close_matches(lowered, NUMBERS, n=1, cutoff=0.6)), None)
        meant = f"Did you mean {near}? If not, put" if near else f"Numbers are {', '.join(NUMBERS)}. Or put"
        self.fail(
            start + 1,
            f"there is no number {_short(typed)} to compare.",
            f'{meant} it in quotes to search for it as text: "{_short(run, 30)}".',
        )

    def _refuse_signs(self, start: int, run: str) -> None:
        if "|" in run:
            column = start + run.index("|") + 1
            self.fail(column, "| means nothing in a filter.", "Write OR between alternatives: a OR b.")
        if run[0] == "&":
            self.fail(start + 1, "& means nothing in a filter.", "Write AND, or only a blank.")
        if run[0] == "!":
            self.fail(start + 1, "! means nothing in a filter.", "Write - or NOT before what to leave out.")
        if run[0] == "+":
            self.fail(start + 1, "+ is not needed: every word must be found anyway.", "Remove the +.")


class _Parser:
    def __init__(self, text: str) -> None:
        self.lexer = _Lexer(text)
        self.fail = self.lexer.fail
        self.text = text
        self.tokens = self.lexer.run()
        self.at = 0
        self.count = 0
        self.open: list[_Token] = []
        self.untranslated: list[str] = []  # hints

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def filter(self) -> Filter:
        if self.token.kind == "end":
            self.fail(1, "the filter is empty.", "Write a word to find, such as agents.")
        tree = self._or(None)
        if self.token.kind == ")":
            self.fail(
                self.token.column,
                "this bracket was never opened.",
                "Remove it, or put ( where the group begins.",
            )
        result = Filter(tree, text=self.text, hints=self._hints())
        if len(result.canonical) > MAX_CHARACTERS:
            raise _too_long_in_full(self.text)
        return result

    def _or(self, scope: str | None) -> Node:
        branches: list[Node] = []
        starts: list[_Token] = []
        while True:
            starts.append(self.token)
            branches.append(self._and(scope))
            if self.token.kind != "OR":
                break
            self.at += 1
            if self.token.kind in ("end", ")"):
                self._stray(self.tokens[self.at - 1])
        if not self.open:  # only whole branches of the filter; a group may rely on its neighbours
            self._refuse_negative(branches, starts)
        return any_of(branches)

    def _refuse_negative(self, branches: list[Node], starts: list[_Token]) -> None:
        for branch, start in zip(branches, starts, strict=True):
            for node in branch.children if isinstance(branch, Or) else (branch,):
                if not finds_something(node):
                    shown = _short(compact(node), 40)
                    where = "this side of OR" if len(branches) > 1 else "a filter"
                    self.fail(
                        start.column,
                        f"{where} needs something to find; {shown} only leaves things out.",
                        f"Put a word to find before it, as in agents {shown}.",
                    )

    def _and(self, scope: str | None) -> Node:
        members = [self._not(scope)]
        while True:
            kind = self.token.kind
            if kind in ("AND", "ANDNOT"):
                operator = self.token
                self.at += 1
                if self.token.kind in ("end", ")", "OR", "AND", "ANDNOT"):
                    self._stray(operator)
                member = self._not(scope)
                members.append(negated(member) if kind == "ANDNOT" else member)
            elif kind in ("end", ")", "OR"):
                return all_of(members)
            else:
                members.append(self._not(scope))

    def _not(self, scope: str | None) -> Node:
        negations = 0
        while self.token.kind == "NOT":
            negations += 1
            self.at += 1
            if self.token.kind in ("end", ")", "OR", "AND", "ANDNOT"):
                self._stray(self.tokens[self.at - 1])
        node = self._atom(scope)
        return negated(node) if negations % 2 else node

    def _stray(self, operator: _Token) -> NoReturn:
        if operator.kind == "NOT":
            self.fail(operator.column, "NOT has nothing to leave out.", "Put a word behind it, or remove it.")
        self.fail(
            operator.column,
            f"{operator.text} needs something on both sides.",
            f'Add what is missing, remove it, or write "{operator.text}" to find the word.',
        )

    def _atom(self, scope: str | None) -> Node:
        token = self.token
        match token.kind:
            case "(":
                return self._group(scope)
            case "field":
                self.at += 1
                if self.token.kind == "(":
                    return self._group(token.text)
                if self.token.kind == "NOT":
                    self.fail(
                        self.token.column,
                        "what leaves out stands before the field.",
                        f"Write -{token.typed} and the value.",
                    )
                if self.token.kind not in ("word", "phrase", "exact"):
                    self.fail(
                        self.token.column,
                        f"nothing follows {token.typed} directly.",
                        f"Write the value right behind the colon, as in {token.typed}agents",
                    )
                return self._value(self.token, token.text)
            case "compare":
                self.at += 1
                return self._counted(Compare(token.text, token.operator, token.number), token)
            case "NOT" | "AND" | "OR" | "ANDNOT":
                self._stray(token)
            case ")" if self.open:
                opened = self.open[-1]
                self.fail(opened.column, "there is nothing between these brackets.", "Fill or remove them.")
            case ")":
                self.fail(
                    token.column,
                    "this bracket was never opened.",
                    "Remove it, or put ( where the group begins.",
                )
            case "end":
                opened = self.open[-1]
                self.fail(opened.column, "this bracket is never closed.", "Put words and ) after it.")
        return self._value(token, scope)

    def _group(self, scope: str | None) -> Node:
        opened = self.token
        if len(self.open) == MAX_DEPTH:
            self.fail(
                opened.column,
                f"brackets stand more than {MAX_DEPTH} deep inside each other.",
                "Remove some, or make two filters of it.",
            )
        self.open.append(opened)
        self.at += 1
        node = self._or(scope)
        if self.token.kind != ")":
            last = self.tokens[self.at - 1].typed
            self.fail(opened.column, "this bracket is never closed.", f"Put ) after {_short(last)}.")
        self.at += 1
        self.open.pop()
        return node

    def _counted(self, atom: Atom, token: _Token) -> Atom:
        self.count += 1
        if self.count > MAX_ATOMS:
            self.fail(
                token.column,
                f"this is more than {MAX_ATOMS} words and conditions.",
                "Make two filters of it.",
            )
        return atom

    def _value(self, token: _Token, field: str | None) -> Node:
        self.at += 1
        column = token.column
        text = clean(token.text)
        if token.kind != "word" and not text:
            self.fail(
                column,
                "there is nothing between these quotation marks.",
                "Write words in them, or remove them.",
            )
        if field in fields.VALUE_FIELDS:
            return self._counted(self._fact(token, field, text), token)
        starred = token.kind == "word" and text.endswith("*")
        if starred:
            text = clean(text[:-1])
        if token.kind != "exact" and "*" in text and any(map(str.isalnum, text)):
            at = token.text.find("*")
            self.fail(
                column + max(at, 0) + (token.kind == "phrase"),
                "* works only at the end of a single word.",
                f'Write agent* for all its endings, or ="{_short(text, 30)}" to find the sign itself.',
            )
        self._refuse_unfindable(token, text, field, starred=starred)
        if token.kind == "exact":
            return self._counted(Exact(text, field), token)
        if starred:
            return self._counted(Word(text, field, prefix=True), token)
        if field != "author" and len(self.untranslated) < _MOST_UNTRANSLATED:
            self.untranslated += _untranslated(token, text)
        return self._counted(words(text, field), token)

    def _refuse_unfindable(self, token: _Token, text: str, field: str | None, *, starred: bool) -> None:
        column = token.column
        shown = _short(token.typed)
        letters = sum(char.isalnum() for char in text)
        if starred and not letters:
            self.fail(column, f"{shown} holds no letter or digit, so it finds nothing.", "Remove it.")
        if starred and letters < MIN_PREFIX and any(map(normal.is_cjk, text)):
            self.fail(
                column + len(token.text) - 1,
                "* is not needed after Chinese characters, which are found anywhere in the text.",
                "Remove *.",
            )
        if starred and letters < MIN_PREFIX:
            self.fail(
                column + len(token.text) - 1,
                f"* needs at least {MIN_PREFIX} letters before it.",
                f'Write more of the word, or ="{_short(token.text.strip())}" to find the sign itself.',
            )
        if token.kind == "exact":
            if not any(char.isalnum() for char in normal.fold(text).text):
                self.fail(column, f"{shown} holds no letter or digit.", "Write words in it, or remove it.")
            return
        pattern = normal.pattern(text, prefix=starred)
        if not pattern.units:
            self.fail(column, f"{shown} holds no letter or digit, so it finds nothing.", "Remove it.")
        if len(pattern.units) == 1 and normal.is_cjk(pattern.units[0]) and field != "author":
            self.fail(column, f"{shown} is a single character.", "Write at least two, such as 训练.")
        if field == "author" and not people.can_identify(text):
            self.fail(column, f"{shown} is an initial only.", 'Add the surname, as in au:"Y LeCun".')
        if starred and not is_bare(text + "x"):
            self.fail(
                column, f"{shown} cannot be written without quotes, where * does not work.", "Remove *."
            )

    def _fact(self, token: _Token, field: str, text: str) -> Value:
        column = token.column
        shown = _short(text or token.typed)
        lowered = _settled(text, str.casefold)
        if "*" in text and not (field in ("cat", "primary") and text.endswith(".*")):
            self.fail(column, f"* does not work in {field}:", "Write the whole value.")
        match field:
            case "cat" | "primary":
                known = fields.category(text)
                if known is None:
                    self._unknown_value(
                        field, column, f"arXiv has no category {shown}.", text, fields.CATEGORIES
                    )
                return Value(field, known)
            case "has":
                if lowered not in fields.HAS:
                    self._unknown_value(field, column, f"has: does not know {shown}.", text, fields.HAS)
            case "kind":
                if lowered not in fields.KINDS:
                    self._unknown_value(field, column, f"there is no kind {shown}.", text, fields.KINDS)
            case "lang":
                if fields.language(text) is None:
                    self.fail(column, f"{shown} is not a language code.", "Write lang:en or lang:zh.")
            case "id":
                lowered = _settled(text, fields.identifier)
        if not any(char.isalnum() for char in lowered):
            self.fail(column, f"{shown} holds no letter or digit, so it finds nothing.", "Remove it.")
        return Value(field, lowered)

    def _unknown_value(
        self, field: str, column: int, message: str, text: str, known: tuple[str, ...]
    ) -> NoReturn:
        folded = {name.casefold(): name for name in known}
        near = get_close_matches(text.casefold(), folded, n=1, cutoff=0.5)
        parts = [folded.get(part, "") for part in re.split(r"[\s,;]+", text.casefold())]
        if len(parts) > 1 and all(parts):
            cure = f"Write {field}:({' OR '.join(parts)}) for one or more of them."
        elif len(known) <= 6:
            cure = f"Write {', '.join(known[:-1])} or {known[-1]}."
        elif text.split(".")[0].casefold() in fields.ARCHIVES:
            archive = text.split(".")[0].casefold()
            example = next(name for name in known if fields.in_category(archive, name))
            cure = f"Write one such as {example}, or {archive} for all of them."
        elif near:
            cure = f"Did you mean {folded[near[0]]}?"
        else:
            cure = "Write one such as cs.CL, or a whole archive such as cs."
        self.fail(column, message, cure)

    def _hints(self) -> tuple[str, ...]:
        return (*(hint for rule in _HINTS for hint in rule(self.tokens)), *self.untranslated)


def _settled(text: str, step: Callable[[str], str]) -> str:
    """`text` after `step`, clean, and such that doing both again changes nothing."""
    previous = None
    while text != previous:
        previous, text = text, clean(step(text))
    return text


def _full_name(typed: str) -> str | None:
    lowered = typed.casefold()
    lowered = fields.SHORT_NAMES.get(lowered, lowered)
    return lowered if lowered in fields.FIELDS else None


def _short(text: str, limit: int = 20) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _lower_case_operators(tokens: list[_Token]) -> list[str]:
    hints: dict[str, str] = {}
    for token in tokens:
        operator = token.text.upper()
        if token.kind == "word" and operator in OPERATORS:
            effect = {"OR": "for either of two", "NOT": "to leave something out"}.get(operator, "for both")
            hints.setdefault(
                token.text,
                f"Column {token.column}: {token.text} is searched for as a word. Write {operator} {effect}.",
            )
    return list(hints.values())


def _commas(tokens: list[_Token]) -> list[str]:
    for token in tokens:
        if token.kind == "word" and token.text[-1:] in (",", ";", "、", "，", "；"):
            return [
                f"Column {token.end}: {token.text[-1]} does nothing; all words must be found. "
                "Write OR between alternatives."
            ]
    return []


def _single_quotes(tokens: list[_Token]) -> list[str]:
    for token in tokens:
        if token.kind == "word" and len(token.text) > 1 and token.text[0] in "'‘’`":
            return [
                f'Column {token.column}: {token.text[0]} makes no phrase. Write "words" with double quotes.'
            ]
    return []


def _blanks_after_values(tokens: list[_Token]) -> list[str]:
    """au:Yann LeCun asks for an author Yann and a word LeCun."""
    for field, value, following in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (
            field.kind == "field"
            and field.text in ("author", "org", "source")
            and value.kind == following.kind == "word"
            and following.text[0].isupper()
            and not following.text.isupper()
        ):
            name = clean(f"{value.text} {following.text}")
            return [
                f"Column {following.column}: {following.text} is searched for as a word of its own. "
                f'If it belongs to the name, write {field.typed}"{name}".'
            ]
    return []


def _loose_fields(tokens: list[_Token]) -> list[str]:
    """title :agents, and upvotes 20."""
    for word, following in pairwise(tokens):
        if word.kind == following.kind == "word":
            name = word.text.casefold()
            if following.text[:1] in ":：" and (_full_name(name) or name in NUMBERS):
                meant = f"{word.text}:{following.text[1:] or '...'}"
            elif name in NUMBERS and following.text.isdecimal():
                meant = f"{name}>={following.text}"
            else:
                continue
            return [f"Column {word.column}: {word.text} is searched for as a word. Perhaps {meant} is meant."]
    return []


def _untranslated(token: _Token, text: str) -> list[str]:
    """For Chinese that stays Chinese: most papers are in English."""
    known = glossary.entry(text)
    if not any(map(normal.is_cjk, text)) or (known and known.english and not known.is_general):
        return []
    is_common = known is not None and known.english
    reason = "too common a word to be taken in English too" if is_common else "not in the glossary"
    hint = f"Column {token.column}: {_short(token.typed)} is {reason}; it is found as it stands only."
    if len(text) <= _MOST_TRANSLATED:
        meanings = [any_of(map(words, phrases)) for phrases in glossary.word_by_word(text)]
        if meanings:
            hint += f" In English perhaps {compact(all_of(meanings))}."
    return [hint]


_HINTS: tuple[Callable[[list[_Token]], list[str]], ...] = (
    _lower_case_operators,
    _commas,
    _single_quotes,
    _blanks_after_values,
    _loose_fields,
)
