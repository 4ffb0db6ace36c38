"""Kamailio's preprocessor: which words of which files reach the parser.

Follows `#!ifdef` and its kin, replaces defined names, applies `#!subst`, goes into included files. A condition that
can't be evaluated makes both its branches "unsure" instead of picking one.

Source  Kamailio src/core/cfg.lex (pp_define(), pp_ifdef(), sr_push_yy_state()), src/core/ppcfg.c
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from kamtcp.errors import KamtcpError
from kamtcp.kamailio import lexer
from kamtcp.kamailio.conditions import evaluate, truth
from kamtcp.kamailio.definitions import Define, Definitions, Notes, Place
from kamtcp.kamailio.lexer import END, MARK, NUMBER, STRING, WORD, Token
from kamtcp.kamailio.substitution import Rule, parse_rule
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import absent_of

# Kamailio's own bounds, and ours where it has none.
INCLUDE_DEPTH = 10
INCLUDE_FILES = 1000
TOTAL_BYTES = 16 << 20
_MACRO_DEPTH = 32
_EXPANSIONS = 100_000
_DIRECTIVES = ("define", "subst", "test", "turn", "include", "include2")


class Frame(Struct):
    """A text being read: a file, or the value of a defined name (`macro`)."""

    text: str
    file: str
    line: int = 1
    position: int = 0
    counted: int = 0  # offset up to which `line` is right
    macro: bool = False
    commented: bool = False  # a macro frame that ended inside a line comment


class Stream:
    """The words of a configuration in order, preprocessed.

    Args:
        open_file: path -> contents; raises OSError or KamtcpError.
        defines: of the command line (-A). Names with no value map to "" or None.
        environ: environment Kamailio was started with; None if not known.
        version: of the running Kamailio, for its KAMAILIO_5_6 names; None if not known.
        directory: working directory at start, where relative includes are looked for first; None if not known.
    """

    def __init__(
        self,
        open_file: Callable[[str], bytes],
        defines: Mapping[str, str | None],
        *,
        environ: Mapping[str, str] | None,
        version: tuple[int, ...] | None,
        directory: str | None,
    ) -> None:
        self.open_file, self.directory = open_file, directory
        self.notes = Notes()
        self.definitions = Definitions(defines, environ, version, self.notes)
        self.rules: list[Rule] = []
        self.frames: list[Frame] = []
        self.conditions: list[bool | None] = []
        self.includes: list[str] = []
        self.keywords: frozenset[str] = frozenset()
        self._bytes = self._expanded = 0
        self._pending: list[Token] = []

    # --- what the parser uses -------------------------------------------------------------------------------

    def push_file(self, path: str, data: bytes) -> None:
        """Go on with this file."""
        self._bytes += len(data)
        self.includes.append(path)
        self.frames.append(Frame(data.decode("utf-8", "replace"), path))

    def next(self) -> Token:
        """The next word; END for ever at the end."""
        return self._pending.pop() if self._pending else self._read()

    def back(self, token: Token) -> None:
        """Put a word back."""
        self._pending.append(token)

    def peek(self) -> Token:
        """The next word, left where it is."""
        token = self.next()
        self.back(token)
        return token

    def skip_block(self) -> None:
        """Leave a `{ … }` whose brace was just read; directives in it count, words don't."""
        self._pending.clear()
        depth = 1
        while depth and self.frames:
            frame = self.frames[-1]
            found = lexer.block_pattern().search(frame.text, frame.position)
            if found is None:
                self._pop()
                if not any(not f.macro for f in self.frames):
                    self.notes.problem(Place(frame.file, self._line(frame)), "a { is never closed")
                continue
            frame.position, kind = found.end(), str(found.lastgroup)
            if kind in _DIRECTIVES:
                self._directive(frame, kind, found.group(kind), found.start())
            elif kind == "brace":
                depth += 1 if found.group() == "{" else -1
            elif kind == "lost":
                frame.position = found.start() + 1  # behind the newline
                self.notes.problem(
                    Place(frame.file, self._line(frame)), "a { before this line is never closed"
                )
                return
            elif kind == "open":
                self._never_closed(frame, found.start(), "string")
            else:
                self._pass(frame, kind, found)

    def here(self) -> tuple[str, int]:
        """File and line being read."""
        return (self.frames[-1].file, self._line(self.frames[-1])) if self.frames else ("", 0)

    def add_rule(self, kind: str, text: str, file: str, line: int) -> None:
        """Take up a `#!subst`, `#!substdef` or `#!substdefs` (or the command line's --subst…)."""
        rule = parse_rule(text, self.definitions.environ)
        if rule is None:
            self.notes.problem(Place(file, line), f"{kind} {text[:60]!r} is not /pattern/replacement/flags")
            return
        if rule.doubt:
            self.notes.doubt(Place(file, line), f"{kind} {text[:60]!r}: {rule.doubt}")
        self.rules.append(rule)
        if kind != "subst":
            value = f'"{rule.plain}"' if kind == "substdefs" else rule.plain
            sure = not rule.doubt and None not in self.conditions
            self.definitions.define("define", rule.name, value, Place(file, line), sure=sure)

    def define_module(self, name: str, *, sure: bool) -> None:
        """Loading a module defines MOD_name."""
        self.definitions.names.setdefault(f"MOD_{name}", Define(None, sure))

    # --- words ----------------------------------------------------------------------------------------------

    def _read(self) -> Token:
        glued, fresh = True, False
        while self.frames:
            frame = self.frames[-1]
            found = lexer.word_pattern().match(frame.text, frame.position)
            if found is None:
                if not frame.macro:
                    glued, fresh = False, True
                self._pop()
                continue
            start, kind = frame.position, str(found.lastgroup)
            frame.position = found.end()
            if kind == "blank":
                glued = False
            elif kind == "line":
                glued, fresh = False, True
            elif kind in _DIRECTIVES:
                glued, fresh = False, True
                self._directive(frame, kind, found.group(kind), start)
            elif kind in ("note", "block"):
                glued = False
                self._pass(frame, kind, found)
            elif kind == "word" and self._expand(frame, found.group()):
                continue
            else:
                return self._token(
                    frame, kind, found, glued=glued, fresh=fresh or (start == 0 and not frame.macro)
                )
        return Token(END, "", *self.here(), glued=False, fresh=True, sure=True)

    def _token(self, frame: Frame, kind: str, found: re.Match[str], *, glued: bool, fresh: bool) -> Token:
        text = found.group()
        line = self._line(frame, frame.position - len(text))
        sure = None not in self.conditions
        if kind == "text":
            return Token(STRING, self._strings(text, frame), frame.file, line, glued, fresh, sure, text[0])
        if kind == "pvar":
            self._pass(frame, kind, found)
            return Token(MARK, "$", frame.file, line, glued, fresh, sure)
        if kind == "mark" and text in "\"'":
            self._never_closed(frame, frame.position - 1, "string")
        kind = {"word": WORD, "number": NUMBER, "ip6": WORD}.get(kind, MARK)
        return Token(kind, text, frame.file, line, glued, fresh, sure)

    def _strings(self, text: str, frame: Frame) -> str:
        value = lexer.unquote(text)
        # only double-quoted neighbours become one
        while text[0] == '"':
            behind = _blanks(frame.text, frame.position)
            more = (
                lexer.word_pattern().match(frame.text, behind)
                if frame.text[behind : behind + 1] == '"'
                else None
            )
            if more is None or more.lastgroup != "text":
                break
            value += lexer.unquote(more.group())
            frame.position = more.end()
        return self._substituted(value)

    def _substituted(self, text: str) -> str:
        for rule in self.rules:
            text = rule.apply(text)
        return text

    def _expand(self, frame: Frame, name: str) -> bool:
        """Read the value of a defined name in its place; False if it isn't one."""
        if name in self.keywords or name not in self.definitions.names:
            return False
        define = self.definitions.names[name]
        self._expanded += 1
        if len(self.frames) > _MACRO_DEPTH + INCLUDE_DEPTH or self._expanded > _EXPANSIONS:
            self.notes.problem(
                Place(frame.file, self._line(frame)),
                f"{name} stands for itself, or names are nested too deep",
            )
            return False
        if not define.sure:
            self.notes.doubt(Place(frame.file, self._line(frame)), f"the value of {name} is not known")
        self.frames.append(Frame(define.value or "", frame.file, self._line(frame), macro=True))
        return True

    def _pass(self, frame: Frame, kind: str, found: re.Match[str]) -> None:
        """Go behind a comment or a pseudo-variable."""
        start = found.start()
        if kind == "note":
            frame.commented = frame.macro
        elif kind == "block":
            end = lexer.end_of_comment(frame.text, start)
            frame.position = end if end > 0 else frame.position
            if end < 0:
                self._never_closed(frame, start, "comment")
        elif kind == "pvar":
            end = lexer.end_of_parenthesis(frame.text, frame.position)
            frame.position = end if end > 0 else frame.position
            if end < 0:
                self._never_closed(frame, start, "pseudo-variable")

    def _never_closed(self, frame: Frame, start: int, what: str) -> None:
        # Kamailio swallows the rest of the file too, and refuses to start
        self.notes.problem(Place(frame.file, self._line(frame, start)), f"this {what} is never closed")
        frame.position = len(frame.text)

    def _pop(self) -> None:
        frame = self.frames.pop()
        if frame.macro and frame.commented and self.frames:
            outer = self.frames[-1]  # a value ending in "# comment" hides the rest of the line it is used on
            end = outer.text.find("\n", outer.position)
            outer.position = len(outer.text) if end < 0 else end
        if not self.frames and self.conditions:
            self.notes.problem(
                Place(frame.file, self._line(frame)), f"{len(self.conditions)} #!ifdef without #!endif"
            )
            self.conditions.clear()

    def _line(self, frame: Frame, position: int | None = None) -> int:
        if frame.macro:
            return frame.line
        position = frame.position if position is None else position
        if position >= frame.counted:
            frame.line += frame.text.count("\n", frame.counted, position)
        else:
            frame.line -= frame.text.count("\n", position, frame.counted)
        frame.counted = position
        return frame.line

    # --- directives -----------------------------------------------------------------------------------------

    def _directive(self, frame: Frame, kind: str, word: str, start: int) -> None:
        line = self._line(frame, start)
        if kind in ("include", "include2"):
            self._include(frame, word, line)
        elif kind == "define":
            self._read_define(frame, word, line)
        elif kind == "subst":
            self._read_rule(frame, word, line)
        elif kind == "test":
            self._test(frame, word, line)
        elif kind == "turn":
            self._turn(frame, word, line)
        if False in self.conditions:
            self._skip()

    def _skip(self) -> None:
        """Leave out a branch: only conditions are looked at, wherever they stand."""
        while False in self.conditions and self.frames:
            frame = self.frames[-1]
            found = lexer.skip_pattern().search(frame.text, frame.position)
            if found is None:
                frame.position = len(frame.text)
                self._pop()
                continue
            frame.position = found.end()
            if found.lastgroup == "loose" and not _leads_line(frame.text, found.start()):
                continue
            line = self._line(frame, found.start())
            if found.lastgroup == "test":
                self._test(frame, found.group("test"), line)
            else:
                self._turn(frame, found.group("turn") or found.group("loose"), line)

    def _test(self, frame: Frame, word: str, line: int) -> None:
        end = frame.text.find("\n", frame.position)
        end = len(frame.text) if end < 0 else end
        rest = frame.text[frame.position : end].strip(" \t\b\r")
        frame.position = end
        holds: bool | None
        if False in self.conditions:
            holds = False  # inside a branch that is left out nothing is looked up
        elif word == "ifexp":
            version = self.definitions.version
            if version is not None and version < (5, 7):
                self.notes.problem(Place(frame.file, line), "#!ifexp is a comment to Kamailio before 5.7")
            holds = truth(evaluate(rest, self.definitions.value))
            if holds is None:
                self.notes.doubt(
                    Place(frame.file, line),
                    f"#!ifexp {rest[:80]} was not evaluated; both branches count as unsure",
                )
        else:
            name = rest.split()[0] if rest else ""
            known = self.definitions.has(name)
            holds = None if known is None else known == (word == "ifdef")
            if known is None:
                self.notes.doubt(
                    Place(frame.file, line),
                    f"whether {name} is defined is not known; both branches count as unsure",
                )
        if len(self.conditions) < 512:
            self.conditions.append(holds)

    def _turn(self, frame: Frame, word: str, line: int) -> None:
        end = frame.text.find("\n", frame.position)
        end = len(frame.text) if end < 0 else end
        rest = frame.text[frame.position : end].strip(" \t\b\r")
        frame.position = end
        if rest or end == len(frame.text):
            self.notes.problem(
                Place(frame.file, line), f"#!{word} counts only when nothing but the end of the line follows"
            )
        if not self.conditions:
            self.notes.problem(Place(frame.file, line), f"#!{word} without #!ifdef")
        elif word == "endif":
            self.conditions.pop()
        elif self.conditions[-1] is not None:
            self.conditions[-1] = not self.conditions[-1]

    def _read_define(self, frame: Frame, word: str, line: int) -> None:
        text, end = frame.text, frame.position
        while (end := text.find("\n", end)) > 0 and text[end - 1] == "\\":
            end += 1
        end = len(text) if end < 0 else end
        rest = text[frame.position : end].replace("\\\n", "").strip(" \t\b\r")
        frame.position = end
        self.definitions.directive(word, rest, Place(frame.file, line), sure=None not in self.conditions)

    def _read_rule(self, frame: Frame, word: str, line: int) -> None:
        found = lexer.word_pattern().match(frame.text, _blanks(frame.text, frame.position))
        if found is None or found.lastgroup != "text":
            self.notes.problem(Place(frame.file, line), f"#!{word} without a string")
            return
        frame.position = found.end()
        self.add_rule(word, lexer.unquote(found.group()), frame.file, line)

    # --- files ----------------------------------------------------------------------------------------------

    def _include(self, frame: Frame, word: str, line: int) -> None:
        start = _blanks(frame.text, frame.position, " \t")
        end = start
        while end < len(frame.text) and frame.text[end] not in " \t\r\n":
            end += 1
        name = self._substituted(frame.text[start:end])
        frame.position = end
        if len(name) < 3 or name[0] != '"' or name[-1] != '"':
            self.notes.problem(
                Place(frame.file, line),
                f"{word} wants a name in double quotes, without blanks, got {name[:60]!r}",
            )
            return
        files = [f for f in self.frames if not f.macro]
        if len(files) > INCLUDE_DEPTH or len(self.includes) >= INCLUDE_FILES or self._bytes > TOTAL_BYTES:
            self.definitions.blind = True
            self.notes.problem(
                Place(frame.file, line), f"{word} {name[:60]}: too many or too large files, not read"
            )
            return
        self._open(frame, word, lexer.unquote(name), line)

    def _open(self, frame: Frame, word: str, name: str, line: int) -> None:
        failure: Absent | None = None
        for path in self._candidates(frame.file, name):
            try:
                data = self.open_file(path)
            except OSError as error:
                failure = absent_of(path, error)
            except (KamtcpError, ValueError) as error:
                failure = Absent(path, Why.NOT_RECORDED, str(error))
            else:
                self.push_file(path, data)
                return
            if failure.why is not Why.MISSING:
                break
        if failure is None or (word == "import_file" and failure.why is Why.MISSING):
            return
        self.definitions.blind = True
        text = f"{word} at {frame.file}:{line}"
        detail = f"{text}; {failure.detail}" if failure.detail else text
        self.notes.absent(Absent(failure.source, failure.why, detail))

    def _candidates(self, including: str, name: str) -> Iterator[str]:
        if name.startswith("/"):
            yield name
            return
        if self.directory is not None:
            yield self.directory.rstrip("/") + "/" + name
        folder, slash, _ = including.rpartition("/")
        if slash:
            yield f"{folder}/{name}"


def _leads_line(text: str, position: int) -> bool:
    """Whether a `#!` there is the first on its line, and not on the first line of all."""
    line = text.rfind("\n", 0, position)
    return line >= 0 and text[position] == "#" and not text[line + 1 : position].strip(" \t")


def _blanks(text: str, position: int, blanks: str = " \t\b\r\n") -> int:
    while position < len(text) and text[position] in blanks:
        position += 1
    return position
