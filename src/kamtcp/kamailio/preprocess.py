"""Kamailio's preprocessor: which words of which files reach the parser.

Replaces defined names, applies `#!subst`, follows directives; conditions are branches.py's, files includes.py's.

Source  Kamailio src/core/cfg.lex (states INITIAL, DEFINE_*, STRING1, STR_BETWEEN, PVAR_P), src/core/ppcfg.c
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from kamtcp.kamailio import lexer
from kamtcp.kamailio.branches import Branches
from kamtcp.kamailio.definitions import Define, Definitions
from kamtcp.kamailio.frames import Frame, Frames
from kamtcp.kamailio.includes import DEPTH, Includes
from kamtcp.kamailio.lexer import END, MARK, NUMBER, STRING, WORD, Token
from kamtcp.kamailio.notes import Notes, Place
from kamtcp.kamailio.substitution import Rule, parse_rule

# ours: Kamailio has none
_MACRO_DEPTH = 32
_EXPANSIONS = 100_000
_DIRECTIVES = ("define", "subst", "test", "turn", "include", "include2")


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
        self.notes, self.frames = Notes(), Frames()
        self.definitions = Definitions(defines, environ, version, self.notes)
        self.branches = Branches(self.frames, self.definitions, self.notes)
        self._includes = Includes(open_file, directory, self.frames, self.definitions, self.notes)
        self.rules: list[Rule] = []
        self.keywords: frozenset[str] = frozenset()
        self._expanded = 0
        self._pending: list[Token] = []

    # --- what the parser uses -------------------------------------------------------------------------------

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

    def skip_block(self, opened: Place) -> None:
        """Leave a `{ … }` whose brace was just read at `opened`; directives in it count, words don't."""
        self._pending.clear()
        frame = self.frames.stack[-1] if self.frames.stack else None
        if frame is not None and frame.text.startswith("}", frame.behind_blanks()):
            self.notes.refuse(opened, "an empty block", sure=self.branches.sure)
        depth = 1
        while depth and self.frames.stack:
            frame = self.frames.stack[-1]
            found = lexer.block_pattern().search(frame.text, frame.position)
            if found is None:
                frame.position = len(frame.text)
                self._pop()
                if not self.frames.depth:
                    self.notes.refuse(opened, "this { is never closed", sure=self.branches.sure)
                continue
            frame.position, kind = found.end(), str(found.lastgroup)
            if kind in _DIRECTIVES:
                self._directive(frame, kind, found.group(kind), found.start())
            elif kind == "brace":
                depth += 1 if found.group() == "{" else -1
            elif kind == "lost":
                frame.position = found.start() + 1  # behind the newline
                text = f"a {{ before this line is never closed (the block begins at {opened})"
                self.notes.refuse(frame.place(), text, sure=self.branches.sure)
                return
            elif kind == "open":
                self._never_closed(frame, found.start(), "string")
            else:
                self._pass(frame, kind, found)

    def add_rule(self, kind: str, text: str, place: Place) -> None:
        """Take up a `#!subst`, `#!substdef` or `#!substdefs` (or the command line's --subst…)."""
        rule = parse_rule(text, self.definitions.environ)
        sure = self.branches.sure
        if rule is None:
            self.notes.refuse(place, f"{kind} {text[:60]!r} is not /pattern/replacement/flags", sure=sure)
            return
        if rule.doubt:
            self.notes.doubt(place, f"{kind} {text[:60]!r}: {rule.doubt}")
        self.rules.append(rule)
        if kind != "subst":
            value = f'"{rule.plain}"' if kind == "substdefs" else rule.plain
            self.definitions.define("trydef", rule.name, value, place, sure=sure and not rule.doubt)

    def define_module(self, name: str, *, sure: bool) -> None:
        """Loading a module defines MOD_name."""
        self.definitions.names.setdefault(f"MOD_{name}", Define(None, sure))

    # --- words ----------------------------------------------------------------------------------------------

    def _read(self) -> Token:
        glued, fresh = True, False
        while self.frames.stack:
            frame = self.frames.stack[-1]
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
            elif kind == "word" and self._expand(frame, found.group(), start):
                continue
            else:
                return self._token(
                    frame, kind, found, glued=glued, fresh=fresh or (start == 0 and not frame.macro)
                )
        last = self.frames.here()
        return Token(END, "", last.file, last.line, glued=False, fresh=True, sure=True, offset=last.offset)

    def _token(self, frame: Frame, kind: str, found: re.Match[str], *, glued: bool, fresh: bool) -> Token:
        text, start = found.group(), found.start()
        line, offset = frame.line_at(start), frame.used.offset if frame.used else start
        sure, quoted = self.branches.sure, ""
        if kind == "text":
            kind, quoted = STRING, text[0]
            text = self._strings(text, frame)
        elif kind == "pvar":
            self._pass(frame, kind, found)
            kind, text = MARK, "$"
        else:
            if kind == "mark" and text in "\"'":
                self._never_closed(frame, start, "string")
            kind = {"word": WORD, "number": NUMBER, "ip6": WORD}.get(kind, MARK)
        return Token(kind, text, frame.file, line, glued, fresh, sure, quoted, offset)

    def _strings(self, text: str, frame: Frame) -> str:
        value = lexer.unquote(text)
        # only double-quoted neighbours become one
        while text[0] == '"':
            behind = frame.behind_blanks()
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

    def _expand(self, frame: Frame, name: str, start: int) -> bool:
        """Read the value of a defined name in its place; False if it isn't one."""
        if name in self.keywords or name not in self.definitions.names:
            return False
        define, place = self.definitions.names[name], frame.place(start)
        self._expanded += 1
        if len(self.frames.stack) > _MACRO_DEPTH + DEPTH or self._expanded > _EXPANSIONS:
            self.notes.refuse(
                place, f"{name} stands for itself, or names are nested too deep", sure=self.branches.sure
            )
            return False
        if not define.sure:
            self.notes.doubt(place, f"the value of {name} is not known")
        self.frames.push_value(define.value or "", place)
        return True

    def _pass(self, frame: Frame, kind: str, found: re.Match[str]) -> None:
        """Go behind a comment or a pseudo-variable."""
        start = found.start()
        if kind == "note":
            frame.commented = frame.macro
        elif kind == "block":
            end = lexer.end_of_comment(frame.text, start)
            frame.position = end if end > 0 else frame.position
            if end < 0:  # Kamailio complains, and starts if enough was said before
                self.notes.problem(frame.place(start), "this comment is never closed")
                frame.position = len(frame.text)
        elif kind == "pvar":
            end = lexer.end_of_parenthesis(frame.text, frame.position)
            frame.position = end if end > 0 else frame.position
            if end < 0:
                self._never_closed(frame, start, "pseudo-variable")

    def _never_closed(self, frame: Frame, start: int, what: str) -> None:
        # Kamailio swallows the rest of the file too, and refuses to start
        self.notes.refuse(frame.place(start), f"this {what} is never closed", sure=self.branches.sure)
        frame.position = len(frame.text)

    def _pop(self) -> None:
        self.frames.pop()
        if not self.frames.stack:
            self.branches.finish()

    # --- directives -----------------------------------------------------------------------------------------

    def _directive(self, frame: Frame, kind: str, word: str, start: int) -> None:
        if kind in ("include", "include2"):
            self._includes.follow(frame, word, self._substituted, sure=self.branches.sure)
        elif kind == "define":
            self._read_define(frame, word, start)
        elif kind == "subst":
            self._read_rule(frame, word, start)
        elif kind == "test":
            self.branches.test(frame, word, start)
        elif kind == "turn":
            self.branches.turn(frame, word, start)
        if False in self.branches.open:
            self.branches.skip()
            if not self.frames.stack:
                self.branches.finish()

    def _read_define(self, frame: Frame, word: str, start: int) -> None:
        text, place = frame.text, frame.place(start)
        if "env" in word or word.startswith("defexp"):
            rest = frame.rest_of_line()
        else:
            # Kamailio looks for a name as far as it takes, beyond the end of the line too
            name = lexer.name_pattern().search(text, frame.position)
            begin = end = name.end() if name else len(text)
            while end < len(text) and text[end] in " \t\b\r":
                end += 1
            first = end
            # a backslash right behind the name is the value itself, and continues nothing
            while (end := text.find("\n", end)) > 0 and text[end - 1] == "\\" and end - 1 > first:
                end += 1
            frame.position = len(text) if end < 0 else end
            if name is not None and text[begin : begin + 1] == "-":
                self.notes.refuse(place, f"#!{word} {name.group()}-: no - in a name", sure=self.branches.sure)
            value = text[begin : frame.position].replace("\\\n", "").strip(" \t\b\r")
            rest = f"{name.group()} {value}" if name else ""
        self.definitions.directive(word, rest, place, sure=self.branches.sure)

    def _read_rule(self, frame: Frame, word: str, start: int) -> None:
        place = frame.place(start)
        found = lexer.word_pattern().match(frame.text, frame.behind_blanks())
        if found is None or found.lastgroup != "text":
            self.notes.refuse(place, f"#!{word} without a string", sure=self.branches.sure)
            return
        frame.position = found.end()
        self.add_rule(word, lexer.unquote(found.group()), place)
