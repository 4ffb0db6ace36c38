"""What files say about settings, as far as it is judged: which line, of which file, wins when the host boots."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.model.absent import Absent, Unlimited


class Assignment(Struct, frozen=True):
    """One line of a sysctl file.

    Args:
        name: with dots between its parts, as `sysctl -a` prints it; may be a glob ("net.ipv4.conf.*.rp_filter").
            A dot inside a part (the interface eth0.200) is a slash.
        value: as written; None for a line "-name", which keeps globs from setting that name.
        file, line: where it stands.
        ignores_errors: the line begins with "-": a failure to set it is not reported.
    """

    name: str
    value: str | None
    file: str
    line: int
    ignores_errors: bool = False

    @property
    def where(self) -> str:
        """As editors and grep write it: "FILE:LINE"."""
        return f"{self.file}:{self.line}"

    @property
    def is_glob(self) -> bool:
        return any(letter in self.name for letter in "*?[")


class Stray(Struct, frozen=True):
    """A line that is no assignment, or whose name can't be one: whoever reads the file passes over it."""

    text: str
    file: str
    line: int


class SettingFiles(Struct, frozen=True, tag="settings"):
    """What is set from files when the machine boots.

    Args:
        reader: who reads them: "systemd-sysctl", or "sysctl --system" of procps where systemd doesn't run.
        files: read, in the order in which they are applied.
        masked: a file, and the one of the same name that is read in its place.
        assignments: of all files, in that order.
        unread: lines of /etc/sysctl.conf where nothing reads that file at boot.
        stray: lines that are none.
        live: the value now, in the namespaces of the reader, of each name that is assigned outright.
        problems: files and directories that could not be read: they may say anything.
    """

    reader: str = "systemd-sysctl"
    files: tuple[str, ...] = ()
    masked: tuple[tuple[str, str], ...] = ()
    assignments: tuple[Assignment, ...] = ()
    unread: tuple[Assignment, ...] = ()
    stray: tuple[Stray, ...] = ()
    live: dict[str, str | Absent] = {}
    problems: tuple[Absent, ...] = ()

    def of(self, name: str) -> tuple[Assignment, ...]:
        """All lines that name it outright, in order; the last one counts."""
        return tuple(each for each in self.assignments if each.name == name)

    def winner(self, name: str) -> Assignment | None:
        """The line that sets it at boot; None where no file does.

        A line that names it outright goes before any glob, wherever it stands; of several lines, and of several
        globs, the last one counts.

        Source: systemd src/sysctl/sysctl.c apply_all(); procps src/sysctl.c write_setting_list()
        """
        outright = self.of(name)
        if outright:
            return self._last(outright)
        globs = [each for each in self._kept() if each.is_glob and each.value is not None]
        fitting = [each for each in globs if fits(each.name, name)]
        return fitting[-1] if fitting else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names that are assigned outright, each once, in the order of their first lines."""
        return tuple(dict.fromkeys(each.name for each in self.assignments if not each.is_glob))

    def _last(self, lines: tuple[Assignment, ...]) -> Assignment | None:
        if lines[-1].value is None and self.reader != "systemd-sysctl":
            lines = tuple(each for each in lines if each.value is not None) or lines
        return None if lines[-1].value is None else lines[-1]

    def _kept(self) -> tuple[Assignment, ...]:
        """In the order in which systemd applies them: a line that changes an earlier one goes to the end."""
        kept: dict[str, Assignment] = {}
        for each in self.assignments:
            before = kept.get(each.name)
            if before is None or before.value != each.value:
                kept.pop(each.name, None)
                kept[each.name] = each
        return tuple(kept.values())


def fits(pattern: str, name: str) -> bool:
    """Whether a glob stands for a name: part by part, since a star doesn't reach over a separator (glob(7))."""
    from fnmatch import fnmatchcase

    parts, of_name = pattern.split("."), name.split(".")
    return len(parts) == len(of_name) and all(
        fnmatchcase(each, part) for part, each in zip(parts, of_name, strict=True)
    )


class PamLimit(Struct, frozen=True):
    """One line of limits.conf: what a login session gets. Services don't: no PAM module runs for them.

    Args:
        domain: user, "@group", "*", …
        kind: "soft", "hard" or "-" (both).
        item: "nofile", "memlock", …
        value: as written.
    """

    domain: str
    kind: str
    item: str
    value: str
    file: str
    line: int

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


class ModuleLine(Struct, frozen=True):
    """One line of modprobe.d that bears on connections: `command` is "options", "blacklist" or "install"."""

    command: str
    module: str
    text: str
    file: str
    line: int

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"

    def option(self, name: str) -> str | None:
        """The value of one option, None where the line doesn't give it."""
        found = None
        for word in self.text.split() if self.command == "options" else ():
            key, equals, value = word.partition("=")
            if equals and key == name:
                found = value
        return found


class ManagerLimit(Struct, frozen=True):
    """DefaultLimitNOFILE= of system.conf: what units get that set no LimitNOFILE of their own."""

    soft: int | Unlimited
    hard: int | Unlimited
    file: str
    line: int

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


class BootFiles(Struct, frozen=True, tag="boot"):
    """Other files that are taken for settings of connections.

    Args:
        pam_limits: lines on open files and locked memory. modules: lines on connection tracking.
        manager: lines DefaultLimitNOFILE=, in the order in which systemd applies them; the last one counts.
        problems: files that could not be read.
    """

    pam_limits: tuple[PamLimit, ...] = ()
    modules: tuple[ModuleLine, ...] = ()
    manager: tuple[ManagerLimit, ...] = ()
    problems: tuple[Absent, ...] = ()
