"""What is wrong with a filter, where, and how to mend it."""

import unicodedata


class FilterError(ValueError):
    """A filter that cannot be read.

    `message` says what is wrong, `cure` how to mend it (both whole sentences), `column` where (1-based, in
    characters of the text as it was typed). `str()` joins the three: "Column 9: this bracket is never closed.
    Put ) after agent."
    """

    def __init__(self, message: str, *, column: int, cure: str, text: str = "") -> None:
        super().__init__(f"Column {column}: {message} {cure}")
        self.message = message
        self.column = column
        self.cure = cure
        self.text = text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.message, self.column, self.cure, self.text))

    @property
    def caret(self) -> str:
        """The filter on one line and, below it, a ^ under the column; for a fixed-width font."""
        line = "".join(char if char.isprintable() else " " for char in self.text)
        before = line[: self.column - 1]
        # A Chinese character is two cells wide; an ideographic space keeps the ^ below its mark.
        pad = "".join("\u3000" if unicodedata.east_asian_width(char) in "WF" else " " for char in before)
        return f"{line}\n{pad}^"


def _rebuild(message: str, column: int, cure: str, text: str) -> FilterError:
    return FilterError(message, column=column, cure=cure, text=text)
