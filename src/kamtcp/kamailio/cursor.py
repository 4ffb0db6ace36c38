"""Small steps through the words of a kamailio.cfg, which every statement is read with.

Source  Kamailio src/core/cfg.y
"""

from __future__ import annotations

from kamtcp.kamailio import lexer
from kamtcp.kamailio.contents import Value
from kamtcp.kamailio.lexer import END, MARK, NUMBER, STRING, WORD, Token
from kamtcp.kamailio.notes import Place
from kamtcp.kamailio.preprocess import Stream

MODULES = frozenset(("loadmodule", "loadmodulex"))
MODPARAMS = frozenset(("modparam", "modparamx"))
CLOSING = frozenset(";{}")
_IN_BRACKETS = CLOSING | {",", ")"}
_JOINING = frozenset("|,.:/")


class Cursor:
    """Reads on in a stream of words."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def refuse(self, token: Token, text: str) -> None:
        """Note that Kamailio does not start because of this word."""
        # an unread file may define the word
        unknown = token.kind == WORD and self.stream.definitions.blind
        self.stream.notes.refuse(place_of(token), text, sure=token.sure and not unknown)

    def problem(self, token: Token, text: str) -> None:
        """Note that Kamailio reads something else than what seems to be meant."""
        self.stream.notes.problem(place_of(token), text)

    def take(self, mark: str) -> bool:
        """Read this mark if it comes next."""
        token = self.stream.next()
        if token.kind == MARK and token.text == mark:
            return True
        self.stream.back(token)
        return False

    def comes(self, mark: str) -> bool:
        """Whether this mark comes next."""
        token = self.stream.peek()
        return token.kind == MARK and token.text == mark

    def joined(self, stops: frozenset[str] = CLOSING) -> tuple[str, bool]:
        """The next word with everything that touches it, as text; and whether all of it is sure."""
        pieces: list[str] = []
        sure = True
        depth = 0
        while True:
            token = self.stream.next()
            joins = not pieces or token.glued or token.text in _JOINING or pieces[-1] in _JOINING or depth > 0
            ends = token.kind == MARK and token.text in stops and not depth
            if token.kind == END or ends or not joins or len(pieces) > 1000:
                self.stream.back(token)
                return "".join(pieces), sure
            if token.kind == MARK:
                depth += (token.text == "(") - (token.text == ")")
            pieces.append(token.text)
            sure = sure and token.sure

    def value(self, name: str, *, bracketed: bool = False, single: bool = False) -> tuple[Value | None, bool]:
        """A number, a word for yes or no, or a text; None where nothing stands. And whether it is sure.

        Args:
            name: of the parameter, for notes.
            bracketed: within `modparam(…)`: a comma or parenthesis ends it.
            single: a number or name is one word; what touches it belongs to the next statement.
        """
        first = self.stream.peek()
        stops = _IN_BRACKETS if bracketed else CLOSING
        if first.kind == STRING:
            self.stream.next()
            return first.text, first.sure
        if single and first.kind in (NUMBER, WORD):
            self.stream.next()
            text, sure = first.text, first.sure
        else:
            text, sure = self.joined(stops)
        if text == "$":
            return text, False  # modparamx with a pseudo-variable
        if not text:
            return None, sure
        if (word := lexer.boolean(text)) is not None:
            return word, sure
        if text == "-":
            digits, _ = self.joined(stops)
            text += digits
        number = lexer.number(text.removeprefix("-"))
        if number is None:
            return text, sure
        if number.wrapped:
            self.problem(first, f"{name}: {text[:40]} does not fit 32 bits; Kamailio takes {number.value}")
        return (-number.value if text[0] == "-" else number.value), sure


def place_of(token: Token) -> Place:
    """Where a word stands."""
    return Place(token.file, token.line, token.offset)


def is_number(token: Token) -> bool:
    """Whether Kamailio takes a word for a number; the words for yes and no are numbers to it."""
    return token.kind in (NUMBER, WORD) and lexer.number(token.text) is not None
