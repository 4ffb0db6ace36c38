"""From words to settings: the statements of a kamailio.cfg outside its route blocks.

Source  Kamailio src/core/cfg.y
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kamtcp.kamailio import lexer
from kamtcp.kamailio.config import Config, Listen, ModParam, Module, Setting, Value
from kamtcp.kamailio.definitions import Place
from kamtcp.kamailio.lexer import END, MARK, NUMBER, STRING, WORD, Token
from kamtcp.kamailio.parameters import KEYWORDS, NUMERIC, PROTOCOLS, ROUTES, canonical
from kamtcp.kamailio.preprocess import Stream

_JOINING = frozenset("|,.:/")
_CLOSING = frozenset(";{}")
_AFTER_ADDRESS = frozenset(
    ("advertise", "ADVERTISE", "name", "NAME", "virtual", "agname", "AGNAME", "vrf", "VRF")
)
_MODULES = frozenset(("loadmodule", "loadmodulex"))
_MODPARAMS = frozenset(("modparam", "modparamx"))


def parse(stream: Stream, path: str) -> Config:
    """All that a stream of words says.

    Args:
        stream: with the main file pushed, and what the command line defines.
        path: of the main file.
    """
    stream.keywords = KEYWORDS
    return Parser(stream).run(path)


def module_name(text: str) -> str:
    """Name of a module from what `loadmodule` says: path and ".so" don't count."""
    return text.rpartition("/")[2].removesuffix(".so")


class Parser:
    """Reads one stream; `block` is what becomes of the inside of a route."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.assignments: list[Setting] = []
        self.listens: list[Listen] = []
        self.aliases: list[str] = []
        self.modules: list[Module] = []
        self.modparams: list[ModParam] = []
        self.socket_workers = 0

    def run(self, path: str) -> Config:
        stream = self.stream
        while (token := stream.next()).kind != END:
            if token.kind == WORD:
                self.statement(token)
            elif token.kind == MARK and token.text == "{":
                self.block()
        return Config(
            path=path,
            params={setting.name: setting for setting in self.assignments},
            assignments=tuple(self.assignments),
            listens=tuple(self.listens),
            aliases=tuple(self.aliases),
            modules=tuple(self.modules),
            modparams=tuple(self.modparams),
            defines={name: define.value for name, define in stream.definitions.names.items()},
            includes=tuple(stream.includes),
            problems=tuple(stream.notes.problems),
            unsure=tuple(stream.notes.unsure),
        )

    def statement(self, token: Token) -> None:
        word = token.text
        if word in ROUTES:
            self.route()
        elif word in _MODULES:
            self.loadmodule(token)
        elif word in _MODPARAMS:
            self.modparam(token)
        elif word in ("listen", "alias", "domain") and self.take("="):
            self.listen(token) if word == "listen" else self.alias()
        elif word == "socket" and self.take("="):
            self.socket(token)
        elif word in ("loadpath", "mpath", "cfgengine"):
            self.take("=")
            self.assign(token, canonical(word))
        elif word == "coreparam" and self.take("["):
            name = self.stream.next()
            if self.take("]") and self.take("="):
                self.assign(token, canonical(name.text))
        elif self.take("="):
            self.assign(token, canonical(word))
        elif self.take("."):
            name = self.stream.next()
            if name.kind == WORD and self.take("="):
                self.assign(token, f"{word}.{name.text}")

    def problem(self, token: Token, text: str) -> None:
        self.stream.notes.problem(Place(token.file, token.line), text)

    # --- small steps ----------------------------------------------------------------------------------------

    def take(self, mark: str) -> bool:
        """Read this mark if it comes next."""
        token = self.stream.next()
        if token.kind == MARK and token.text == mark:
            return True
        self.stream.back(token)
        return False

    def at_statement(self) -> bool:
        """Whether the next word begins an assignment."""
        token = self.stream.next()
        begins = token.kind == WORD and token.fresh
        if begins:
            after = self.stream.peek()
            begins = (
                after.kind == MARK and after.text == "="
            ) or token.text in _MODULES | _MODPARAMS | ROUTES
        self.stream.back(token)
        return begins

    def joined(self, stops: frozenset[str]) -> tuple[str, bool]:
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

    # --- statements -----------------------------------------------------------------------------------------

    def route(self) -> None:
        stream = self.stream
        if self.take("["):
            for _ in range(50):  # names of event routes hold colons and dashes
                token = stream.next()
                if token.kind == END or (token.kind == MARK and token.text == "]"):
                    break
                if token.kind == MARK and token.text == "{":
                    stream.back(token)
                    break
        if self.take("{"):
            self.block()

    def block(self) -> None:
        """Leave a block whose brace was just read."""
        self.stream.skip_block()

    def loadmodule(self, token: Token) -> None:
        self.take("(")
        name = self.stream.next()
        if name.kind != STRING:
            self.stream.back(name)
            self.problem(token, f"{token.text} without a string")
            return
        sure = token.sure and name.sure
        module = module_name(name.text)
        self.modules.append(Module(module, token.file, token.line, sure))
        self.stream.define_module(module, sure=sure)

    def modparam(self, token: Token) -> None:
        if not self.take("("):
            return
        module, name = self.stream.next(), None
        if self.take(","):
            name = self.stream.next()
        if name is None or not self.take(","):
            self.problem(token, f"{token.text} wants module, name and value")
            return
        value, sure = self.value(token, name.text)
        if value is None:
            return
        value = int(value) if isinstance(value, bool) else value
        sure = sure and token.sure and module.sure
        self.modparams.append(ModParam(module.text, name.text, value, token.file, token.line, sure))

    def assign(self, token: Token, name: str) -> None:
        if self.at_statement():
            self.problem(token, f"{name} without a value")
            return
        value, sure = self.value(token, name)
        if value is None:
            self.problem(token, f"{name} without a value")
            return
        if name in NUMERIC and isinstance(value, str):
            self.problem(token, f"{name} wants a number, got {value[:60]!r}")
        if name == "shm_mem_size" and self.modparams:
            self.problem(token, "shm_mem_size after a modparam: Kamailio does not start")
        if name == "socket_workers":
            self.socket_workers = value if isinstance(value, int) else 0
        self.assignments.append(Setting(name, value, token.file, token.line, sure and token.sure))

    def value(self, token: Token, name: str) -> tuple[Value | None, bool]:
        """A number, a word for yes or no, or a text."""
        first = self.stream.peek()
        text, sure = self.joined(_CLOSING | {",", ")"} if token.text in _MODPARAMS else _CLOSING)
        if first.kind == STRING:
            return text, sure
        if text == "$":
            return text, False  # modparamx with a pseudo-variable
        if not text:
            return None, sure
        if (word := lexer.boolean(text)) is not None:
            return word, sure
        if text == "-":
            digits, _ = self.joined(_CLOSING | {",", ")"})
            text += digits
        number = lexer.number(text.removeprefix("-"))
        if number is None:
            return text, sure
        if number.wrapped:
            self.problem(
                token,
                f"{name}: {text[:40]} does not fit 32 bits; Kamailio takes {number.value}",
            )
        return (-number.value if text[0] == "-" else number.value), sure

    # --- listeners ------------------------------------------------------------------------------------------

    def listen(self, token: Token) -> None:
        found: list[tuple[str, bool]] = []
        while len(found) < 100 and self.another(found=bool(found)):
            found.append(self.joined(_CLOSING))
        if not found:
            self.problem(token, "listen without an address")
            return
        more = self.options()
        for text, sure in found:
            self.add_listen(token, text, more, self.socket_workers, sure=sure)
            self.socket_workers = 0

    def another(self, *, found: bool) -> bool:
        """Whether another address of a `listen` or `alias` list comes."""
        token = self.stream.next()
        more = token.kind in (WORD, NUMBER, STRING) or (token.kind == MARK and token.text in "[(*")
        if more and token.kind == WORD:
            more = token.text not in _AFTER_ADDRESS
            after = self.stream.peek()
            if after.kind == MARK and after.text == "=":
                more = False
            elif found and token.fresh and not (after.glued and after.kind == MARK and after.text in ":.-"):
                more = token.text in PROTOCOLS
        self.stream.back(token)
        return more

    def options(self) -> dict[str, str]:
        """What may follow the address of a `listen`."""
        more: dict[str, str] = {}
        for _ in range(10):
            token = self.stream.next()
            word = token.text.lower()
            if token.kind != WORD or token.text not in _AFTER_ADDRESS or self.followed_by_equals():
                self.stream.back(token)
                break
            more[word] = "yes" if word == "virtual" else self.joined(_CLOSING)[0]
        return more

    def followed_by_equals(self) -> bool:
        after = self.stream.peek()
        return after.kind == MARK and after.text == "="

    def socket(self, token: Token) -> None:
        if not self.take("{"):
            return
        more: dict[str, str] = {}
        sure = True
        for _ in range(200):
            name = self.stream.next()
            if name.kind == END or (name.kind == MARK and name.text == "}"):
                break
            if name.kind == WORD and self.take("="):
                more[name.text.lower()], word_sure = self.joined(_CLOSING)
                sure = sure and word_sure and name.sure
        if "bind" not in more:
            self.problem(token, "socket without bind")
            return
        workers = lexer.number(more.get("workers", "0"))
        if workers is None:
            self.problem(token, f"workers of a socket: {more['workers'][:60]!r} is no number")
        self.add_listen(token, more["bind"], more, workers.value if workers else 0, sure=sure)

    def add_listen(
        self, token: Token, text: str, more: Mapping[str, str], workers: int, *, sure: bool
    ) -> None:
        found = place(text)
        if found is None:
            self.problem(token, f"address {text[:60]!r} is not [protocol:]address[:port]")
            return
        protocol, addresses, port, port_end = found
        self.listens.append(
            Listen(
                protocol=protocol,
                addresses=addresses,
                port=port,
                port_end=port_end,
                file=token.file,
                line=token.line,
                advertise=more.get("advertise", ""),
                name=more.get("name", ""),
                workers=workers,
                virtual=more.get("virtual", "no") not in ("no", "off", "false", "disable", "0"),
                sure=sure and token.sure,
            )
        )

    def alias(self) -> None:
        count = 0
        while count < 1000 and self.another(found=count > 0):
            self.aliases.append(self.joined(_CLOSING)[0])
            count += 1


def place(text: str) -> tuple[str, tuple[str, ...], int, int] | None:
    """Take "[protocol:]address[:port[-port]]" apart; the address may be a "(list, of, them)"."""
    protocol, colon, rest = text.partition(":")
    if not colon or protocol.lower() not in PROTOCOLS | {"*"}:
        protocol, rest = "", text
    protocol = "" if protocol == "*" else protocol.lower()
    if rest.count(":") > 1 and not rest.startswith(("[", "(")):
        return (protocol, (rest,), 0, 0) if re.fullmatch(r"[0-9a-fA-F:.]+", rest) else None
    found = re.fullmatch(r"(\[[^\]]*\]|\([^)]*\)|[^:\s]+)(?::(\*|[0-9]{1,6})(?:-([0-9]{1,6}))?)?", rest)
    if found is None:
        return None
    names = found.group(1)
    names = names[1:-1] if names[0] in "([" else names
    addresses = tuple(name.strip() for name in names.split(",") if name.strip())
    port = int(found.group(2)) if (found.group(2) or "*") != "*" else 0
    return (protocol, addresses, port, int(found.group(3) or 0)) if addresses else None
