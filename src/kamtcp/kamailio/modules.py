"""Modules of a kamailio.cfg: `loadmodule`, `modparam`.

Source  Kamailio src/core/cfg.y (module_stm), src/core/modparam.c set_mod_param_regex()
"""

from __future__ import annotations

from kamtcp.kamailio.contents import ModParam, Module
from kamtcp.kamailio.cursor import Cursor
from kamtcp.kamailio.lexer import MARK, STRING, Token


def module_name(text: str) -> str:
    """Name of a module from what `loadmodule` says: path and ".so" don't count."""
    return text.rpartition("/")[2].removesuffix(".so")


class Modules:
    """Reads and keeps them.

    Attributes:
        found: modules in order. params: their parameters in order.
    """

    def __init__(self, cursor: Cursor) -> None:
        self.cursor, self.stream = cursor, cursor.stream
        self.found: list[Module] = []
        self.params: list[ModParam] = []

    def loadmodule(self, token: Token) -> None:
        """What follows `loadmodule`."""
        opened = self.stream.peek()
        if self.cursor.take("("):
            self.cursor.refuse(opened, f"{token.text} wants a text in quotes, without parentheses")
        name = self.stream.next()
        if name.kind != STRING:
            self.stream.back(name)
            self.cursor.refuse(name, f"{token.text} wants a text in quotes")
            return
        sure = token.sure and name.sure
        module = module_name(name.text)
        if sure and any(each.name == module and each.sure for each in self.found):
            self.cursor.refuse(name, f"{module[:60]} is loaded already")
        self.found.append(Module(module, token.file, token.line, sure))
        self.stream.define_module(module, sure=sure)
        if opened.text == "(" and opened.kind == MARK:
            while self.stream.peek().kind in (STRING, MARK) and not self.cursor.take(")"):
                self.stream.next()

    def modparam(self, token: Token) -> None:
        """What follows `modparam`."""
        cursor = self.cursor
        words: list[Token] = []
        for mark in "(,":
            if not cursor.take(mark):
                break
            words.append(self.stream.next())
        if len(words) < 2 or not cursor.take(",") or any(word.kind != STRING for word in words):
            wrong = next((word for word in words if word.kind != STRING), self.stream.peek())
            cursor.refuse(wrong, f'{token.text} wants ("module", "name", value)')
            return
        first = self.stream.peek()
        value, sure = cursor.value(words[1].text, bracketed=True)
        if value is None or (isinstance(value, str) and first.kind != STRING and value != "$"):
            cursor.refuse(first, f"{token.text} wants a number or a text in quotes")
        elif value == "$" and first.kind == MARK and token.text == "modparam":
            cursor.refuse(first, "modparam takes no variable; modparamx does")
        if value is None:
            return
        if self._matches_none(words[0].text):
            cursor.refuse(words[0], f"no module {words[0].text[:60]} is loaded before this line")
        if not cursor.take(")"):
            cursor.refuse(self.stream.peek(), f"{token.text} wants ) behind its value")
        value = int(value) if isinstance(value, bool) else value
        sure = sure and token.sure and words[0].sure
        self.params.append(ModParam(words[0].text, words[1].text, value, token.file, token.line, sure))

    def _matches_none(self, pattern: str) -> bool:
        """Whether no module that is loaded so far has a name of this list; only where that is certain."""
        names = {name.lower() for name in pattern.split("|")}
        if self.stream.definitions.blind or not all(name.replace("_", "a").isalnum() for name in names):
            return False
        return not any(
            define.startswith("MOD_") and define[4:].lower() in names
            for define in self.stream.definitions.names
        )
