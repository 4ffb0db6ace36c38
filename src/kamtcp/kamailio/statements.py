"""From words to settings: the statements of a kamailio.cfg outside its route blocks.

Source  Kamailio src/core/cfg.y
"""

from __future__ import annotations

from kamtcp.kamailio import kinds
from kamtcp.kamailio.contents import Config, Setting
from kamtcp.kamailio.cursor import MODPARAMS, MODULES, Cursor, is_number, place_of
from kamtcp.kamailio.lexer import END, MARK, NUMBER, STRING, WORD, Token
from kamtcp.kamailio.listeners import Listeners
from kamtcp.kamailio.modules import Modules
from kamtcp.kamailio.parameters import KEYWORDS, POLL_METHODS, ROUTES, canonical
from kamtcp.kamailio.preprocess import Stream
from kamtcp.kamailio.versions import Version, has_parameter

_DESCRIPTIONS = ("desc", "descr", "description")
_TEXTS = ("loadpath", "mpath", "cfgengine")


def parse(stream: Stream, path: str) -> Config:
    """All that a stream of words says.

    Args:
        stream: with the main file pushed, and what the command line defines.
        path: of the main file.
    """
    stream.keywords = KEYWORDS
    return Parser(stream).run(path)


class Parser:
    """Reads one stream; `block` is what becomes of the inside of a route."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.cursor = stream, Cursor(stream)
        self.listeners = Listeners(self.cursor)
        self.assignments: list[Setting] = []
        self.modules = Modules(self.cursor)
        self.routes: set[tuple[str, str]] = set()
        self.flag_names: set[str] = set()
        numbers = stream.definitions.version
        self.version = None
        if numbers is not None and len(numbers) >= 3:
            major, minor, patch = numbers[:3]
            self.version = Version((major, minor, patch), ".".join(map(str, numbers)))

    def run(self, path: str) -> Config:
        stream, any_statement = self.stream, False
        while (token := stream.next()).kind != END:
            any_statement = True
            if token.kind == WORD:
                self.statement(token)
            elif token.kind == MARK and token.text == "{":
                self.cursor.refuse(token, "a { that belongs to no route")
                self.block(token)
            elif not (token.kind == MARK and token.text == ";"):
                self.lost(token)
        if not any_statement and not stream.rules:
            self.cursor.refuse(token, "nothing but comments: Kamailio wants one statement at least")
        return Config(
            path=path,
            params={setting.name: setting for setting in self.assignments},
            assignments=tuple(self.assignments),
            listens=tuple(self.listeners.found),
            aliases=tuple(self.listeners.aliases),
            modules=tuple(self.modules.found),
            modparams=tuple(self.modules.params),
            defines={name: define.value for name, define in stream.definitions.names.items()},
            includes=tuple(stream.frames.includes),
            problems=tuple(stream.notes.problems),
            refusals=stream.notes.refusals(stream.frames.texts),
            unsure=tuple(stream.notes.unsure),
        )

    def statement(self, token: Token) -> None:
        word, cursor = token.text, self.cursor
        if word in ROUTES:
            self.route(token)
        elif word in MODULES:
            self.modules.loadmodule(token)
        elif word in MODPARAMS:
            self.modules.modparam(token)
        elif word in ("flags", "avpflags"):
            self.flags(token)
        elif word in _TEXTS:
            cursor.take("=")
            if self.stream.peek().kind != STRING:
                cursor.refuse(self.stream.peek(), f"{word} wants a text in quotes")
            self.assign(token, canonical(word))
        elif cursor.take("="):
            self.core(token)
        elif word in KEYWORDS and word != "default":
            self.lost(token)
        elif cursor.take("."):
            self.custom(token, word)
        elif cursor.take("["):
            number = self.stream.next()
            if number.kind == NUMBER and cursor.take("]") and cursor.take("."):
                self.custom(token, f"{word}[{number.text}]")
            else:
                self.lost(token)
        else:
            self.lost(token)

    def lost(self, token: Token) -> None:
        """Something that begins no statement: to the next line that may, without a word on what is between."""
        what = "a text" if token.kind == STRING else repr(token.text[:40])
        self.cursor.refuse(token, f"{what} begins no statement")
        for _ in range(10_000):
            token = self.stream.next()
            if token.kind == END or token.fresh or (token.kind == MARK and token.text in ";{"):
                self.stream.back(token)
                return

    # --- statements -----------------------------------------------------------------------------------------

    def route(self, token: Token) -> None:
        stream, name = self.stream, ""
        named = self.cursor.take("[")
        if named:
            words: list[Token] = []
            while len(words) < 50:  # names of event routes hold colons and dashes
                word = stream.next()
                if word.kind == END or (word.kind == MARK and word.text in "]{"):
                    if word.text == "{":
                        stream.back(word)
                    break
                words.append(word)
            name = "".join(word.text for word in words)
            one = len(words) == 1 and words[0].kind in (WORD, NUMBER, STRING)
            if token.text in ("request_route", "reply_route") or not (
                one or (words and token.text == "event_route")
            ):
                self.cursor.refuse(
                    words[0] if words else token, f"{token.text}[{name[:40]}]: not a name for it"
                )
        elif token.text == "event_route":
            self.cursor.refuse(token, "event_route wants a name")
        opened = stream.next()
        if opened.kind != MARK or opened.text != "{":
            stream.back(opened)
            self.cursor.refuse(opened, f"{token.text} wants {{ … }}")
            return
        if named and (token.text, name) in self.routes and token.sure:
            self.cursor.refuse(token, f"{token.text}[{name[:40]}] is there already")
        if token.sure:
            self.routes.add((token.text, name))
        self.block(opened)

    def block(self, opened: Token) -> None:
        """Leave a block whose brace was just read."""
        self.stream.skip_block(place_of(opened))

    def flags(self, token: Token) -> None:
        """Names, each with a number or without, separated by commas."""
        while True:
            name = self.stream.next()
            if name.kind not in (WORD, STRING):
                self.stream.back(name)
                self.cursor.refuse(name, f"{token.text} wants names")
                return
            if token.text == "flags" and name.text in self.flag_names:
                self.cursor.refuse(name, f"flag {name.text[:40]!r} is there already")
            if token.text == "flags" and token.sure:
                self.flag_names.add(name.text)
            if token.text == "flags" and self.cursor.take(":") and self.stream.next().kind != NUMBER:
                self.cursor.refuse(name, f"the number of flag {name.text[:40]!r} is none")
            if not self.cursor.take(","):
                return

    def core(self, token: Token) -> None:
        """An assignment, its name and "=" read."""
        word, first = token.text, self.stream.peek()
        if word in ("alias", "domain"):
            self.listeners.alias()
        elif word == "listen":
            self.listeners.listen(token)
        elif word == "socket":
            self.known(token, word)
            self.listeners.socket(token)
        else:
            if self.known(token, word):
                self.kind(first, word)
            self.assign(token, canonical(word))

    def known(self, token: Token, word: str) -> bool:
        """Whether this is a core parameter of this version; noted if it isn't."""
        if word not in kinds.ALL and word != "socket":
            self.cursor.refuse(token, f"{word[:60]} is no core parameter that kamtcp knows")
        elif self.version is not None and not has_parameter(self.version, word):
            self.cursor.refuse(token, f"{word} is no core parameter of Kamailio {self.version.text} yet")
        else:
            return True
        return False

    def kind(self, first: Token, word: str) -> None:
        """Note a value of a kind that Kamailio doesn't take, `first` being its first word."""
        minus = first.kind == MARK and first.text == "-"
        if word in kinds.UNSIGNED and not is_number(first):
            self.cursor.refuse(first, f"{word} wants a number" + (" that is not negative" if minus else ""))
        elif word in kinds.SIGNED:
            if minus:
                self.stream.next()
                first, after = self.stream.peek(), first
                self.stream.back(after)
            if not is_number(first):
                self.cursor.refuse(first, f"{word} wants a number")
        elif word == "tos" and not is_number(first) and first.kind != WORD:
            self.cursor.refuse(first, "tos wants a number or a name")
        elif word in kinds.QUOTED and first.kind != STRING:
            self.cursor.refuse(first, f"{word} wants a text in quotes")
        elif word == "tcp_poll_method" and first.text not in POLL_METHODS:
            self.cursor.refuse(first, f"{word} wants one of {', '.join(sorted(POLL_METHODS))}")
        elif word in kinds.NAMED and first.kind != STRING and (first.kind != WORD or first.text in KEYWORDS):
            self.cursor.refuse(first, f"{word} wants a name or a text in quotes")
        elif word in kinds.BARE and first.kind == STRING:
            self.cursor.refuse(first, f"{word} takes no quotes")

    def assign(self, token: Token, name: str) -> None:
        if self.at_statement():
            self.cursor.problem(token, f"{name} without a value")
            return
        value, sure = self.cursor.value(name, single="." in name or token.text in kinds.SINGLE)
        if value is None:
            self.cursor.problem(token, f"{name} without a value")
            return
        if name == "shm_mem_size" and self.modules.params:
            self.cursor.refuse(token, "shm_mem_size after a modparam: Kamailio does not start")
        if name == "socket_workers":
            self.listeners.workers = value if isinstance(value, int) else 0
        self.assignments.append(Setting(name, value, token.file, token.line, sure and token.sure))

    def custom(self, token: Token, group: str) -> None:
        """A variable of a group of its own: `group.name = value desc "text"`, group and dot read."""
        name = self.stream.next()
        if name.kind != WORD or not self.cursor.take("="):
            self.cursor.refuse(name, "a variable is written group.name = value")
            return
        if name.text in KEYWORDS and name.text != "default":
            self.cursor.refuse(
                name, f"{group}.{name.text}: a word of Kamailio's own is no name for a variable"
            )
        first = self.stream.peek()
        if first.kind != STRING and not is_number(first):
            self.cursor.refuse(first, f"{group}.{name.text} wants a number or a text in quotes")
        self.assign(token, f"{group}.{name.text}")
        after = self.stream.peek()
        if after.kind == WORD and after.text in _DESCRIPTIONS:
            self.stream.next()
            if self.stream.peek().kind == STRING:
                self.stream.next()
            else:
                self.cursor.refuse(self.stream.peek(), f"{after.text} wants a text in quotes")

    def at_statement(self) -> bool:
        """Whether the next word begins an assignment: the one before it has no value."""
        token = self.stream.next()
        begins = token.kind == WORD and token.fresh
        if begins:
            begins = self.cursor.comes("=") or token.text in MODULES | MODPARAMS | ROUTES
        self.stream.back(token)
        return begins
