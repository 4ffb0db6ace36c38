"""`include_file` and `import_file`: which file is meant, and what if it can't be read.

Source  Kamailio src/core/cfg.lex sr_push_yy_state(), get_cfg_file_name()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kamtcp.errors import KamtcpError
from kamtcp.kamailio import lexer
from kamtcp.kamailio.definitions import Definitions
from kamtcp.kamailio.frames import Frame, Frames
from kamtcp.kamailio.notes import Notes, Place
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import absent_of

DEPTH = 10  # Kamailio's own bound
FILES = 1000
BYTES = 16 << 20


class Includes:
    """Opens files that others include.

    Args:
        open_file: path -> contents; raises OSError or KamtcpError.
        directory: working directory at start, where relative names are looked for first; None if not known.
    """

    def __init__(
        self,
        open_file: Callable[[str], bytes],
        directory: str | None,
        frames: Frames,
        definitions: Definitions,
        notes: Notes,
    ) -> None:
        self._open_file, self._directory = open_file, directory
        self._frames, self._definitions, self._notes = frames, definitions, notes

    def follow(self, frame: Frame, word: str, substituted: Callable[[str], str], *, sure: bool) -> None:
        """Go into the file that is named behind `word`, which was just read."""
        begin = frame.behind_blanks(" \t")
        end = begin
        while end < len(frame.text) and frame.text[end] not in " \t\r\n":
            end += 1
        frame.position = end
        name, place = substituted(frame.text[begin:end]), frame.place(begin)
        if len(name) < 3 or name[0] != '"' or name[-1] != '"':
            self._notes.refuse(
                place, f"{word} wants a name in double quotes, without blanks, got {name[:60]!r}", sure=sure
            )
            return
        files = self._frames
        if files.depth > DEPTH or len(files.includes) >= FILES or files.bytes > BYTES:
            self._definitions.blind = True
            self._notes.refuse(place, f"{word} {name[:60]}: too many or too large files, not read", sure=sure)
            return
        self._open(frame.file, word, lexer.unquote(name), place, sure=sure)

    def _open(self, including: str, word: str, name: str, place: Place, *, sure: bool) -> None:
        failure: Absent | None = None
        for path in self._candidates(including, name):
            try:
                data = self._open_file(path)
            except OSError as error:
                failure = absent_of(path, error)
            except (KamtcpError, ValueError) as error:
                failure = Absent(path, Why.NOT_RECORDED, str(error))
            else:
                self._frames.push_file(path, data)
                return
            if failure.why is not Why.MISSING:
                break
        if failure is None or (word == "import_file" and failure.why is Why.MISSING):
            return
        self._definitions.blind = True
        text = f"{word} at {place}"
        detail = f"{text}; {failure.detail}" if failure.detail else text
        self._notes.absent(Absent(failure.source, failure.why, detail))
        if failure.why is Why.MISSING:
            self._notes.stop(place, f"{failure.source} is not there", sure=sure)

    def _candidates(self, including: str, name: str) -> Iterator[str]:
        if name.startswith("/"):
            yield name
            return
        if self._directory is not None:
            yield self._directory.rstrip("/") + "/" + name
        folder, slash, _ = including.rpartition("/")
        if slash:
            yield f"{folder}/{name}"
