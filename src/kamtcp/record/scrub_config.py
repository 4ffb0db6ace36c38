"""Configuration in its several forms: kamailio.cfg, command lines, environments, systemd units, shell assignments.

What decides how Kamailio runs stays (numbers, switches, paths, socket addresses); the rest of a value goes when its
name or its form is that of a secret. The structure stays, so that a reader of these files finds the same things.
"""

from __future__ import annotations

import re

from kamtcp.record.scrub_names import SCRUBBED, is_harmless, is_integer, is_secret, is_strong, is_switch
from kamtcp.record.scrub_text import Identities

_STRING = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\''
_MODPARAM = re.compile(
    rf"(\bmodparamx?[ \t]*\(\s*(?:{_STRING})\s*,\s*)({_STRING})(\s*,\s*)((?:{_STRING}|[^\"'();])*)(?=\)|\Z)",
    re.DOTALL,
)
_DEFINE = re.compile(
    r"^([ \t]*(?:#!|!!)[ \t]*(?:try|re)?def(?:ine|exps?|exp)?[ \t]+)([A-Za-z_]\w*)([ \t]+)((?:[^\n\\]|\\\n|\\.)*)",
    re.MULTILINE,
)
_SUBST = re.compile(r"^([ \t]*(?:#!|!!)[ \t]*subst(?:defs?)?[ \t]+[\"']?)([^\w\s\"'])([^\n]*)", re.MULTILINE)
_NAMES = re.compile(
    r"^[ \t]*(?:#!|!!)[ \t]*(?:(?:try|re)?def\w*[ \t]+|substdefs?[ \t]+[\"']?[^\w\s\"'])([A-Za-z_]\w*)",
    re.MULTILINE,
)
_OPTION_A = re.compile(
    r"(?<![^\s\"'=])((?:-A[ \t]*|--define[ =]))(?:(\\?[\"'])([A-Za-z_]\w*)=(.*?)(?=\2(?:\s|$)|\n|\Z)"
    r"|([A-Za-z_]\w*)=((?:\\?\"(?:[^\"\\\n]|\\[^\"])*\\?\"|'[^'\n]*'|\\.|[^\s\"'\\])*))"
)
_ENVIRONMENT = re.compile(r"^([ \t]*Environment[ \t]*=)((?:[^\n\\]|\\\n|\\.)*)", re.MULTILINE)
_ENVIRONMENT_WORD = re.compile(
    r"(\")([A-Za-z_]\w*)=((?:[^\"\\\n]|\\.)*)(\"?)|(')([A-Za-z_]\w*)=((?:[^'\\\n]|\\.)*)('?)"
    r"|(?<![^\s=])()([A-Za-z_]\w*)=((?:\"[^\"\n]*\"?|'[^'\n]*'?|\\.|[^\s\"'\\])*)()"
)
_SHELL = re.compile(
    r"^([ \t]*(?:export[ \t]+|declare[ \t]+(?:-x[ \t]+)?)?)([A-Za-z_]\w*)=(\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|[^\s;#\"']*)",
    re.MULTILINE,
)
_SECRET_OPTION = re.compile(r"--?([A-Za-z][\w-]*)")
_USER_BESIDE_PASSWORD = re.compile(r"(?i)(?<![A-Za-z0-9_])(user(?:name)?|login|uid)(\s?=\s?)([^\s;,&\"'=]+)")
_HAS_PASSWORD = re.compile(r"(?i)(?<![A-Za-z0-9])(?:pass|passwd|password|pwd)\s?=")


class Configuration:
    """Scrubs configuration texts and argument lists. All results still need their addresses mapped.

    Args:
        identities: scrubs what is not of a known form.
    """

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def text(self, text: str) -> str:
        """Any text: Kamailio directives, module parameters and `-A` options in it, then all identities."""
        if "#!" in text or "!!" in text:
            defined = frozenset(_NAMES.findall(text))
            text = _DEFINE.sub(lambda m: m[1] + m[2] + m[3] + self._defined(m[2], m[4], defined), text)
            text = _SUBST.sub(lambda m: m[1] + m[2] + self._substituted(m[2], m[3], defined), text)
        if "modparam" in text:
            text = _MODPARAM.sub(self._modparam, text)
        if "-A" in text or "--define" in text:
            text = _OPTION_A.sub(self._option, text)
        text = _ENVIRONMENT.sub(lambda m: m[1] + _ENVIRONMENT_WORD.sub(self._environment_word, m[2]), text)
        if _HAS_PASSWORD.search(text):
            text = "".join(map(self._beside_password, text.splitlines(keepends=True)))
        return self._identities(text)

    def shell(self, text: str) -> str:
        """A file of NAME=VALUE lines (/etc/default, EnvironmentFile=)."""
        return self.text(_SHELL.sub(self._assignment, text))

    def environ(self, entries: list[str]) -> list[str]:
        """NAME=VALUE of a process: the names, and the values that are plain integers of names that aren't secret."""
        return [self._entry(entry) for entry in entries]

    def arguments(self, arguments: list[str]) -> list[str]:
        """A command line, argument by argument; also RPC replies that list one."""
        done: list[str] = []
        before = ""
        for argument in arguments:
            done.append(self.argument(before, argument))
            before = argument
        return done

    def define(self, name: str, value: str) -> str:
        """What the value of one preprocessor define becomes."""
        return self._defined(name, value, frozenset())

    def argument(self, before: str, argument: str) -> str:
        """One argument; `before` is the one before it, which may say what this one is."""
        name, equals, value = argument.partition("=")
        if before == "-A" and equals:
            return name + equals + self._defined(name, value, frozenset())
        if argument.startswith("-A") and equals:
            return name + equals + self._defined(name[2:], value, frozenset())
        if before in {"--substdef", "--subst", "--substdefs"} and argument:
            return argument[0] + self._substituted(argument[0], argument[1:], frozenset())
        if argument.startswith("--subst") and value:
            return name + equals + value[0] + self._substituted(value[0], value[1:], frozenset())
        if argument.startswith("--modparam=") or before == "--modparam":
            head, _, body = argument.rpartition("--modparam=")
            parts = body.split(":", 3)
            if len(parts) == 4:
                parts[3] = self._plain(parts[1], parts[3])
            return (head + "--modparam=" if argument.startswith("--modparam=") else "") + ":".join(parts)
        option = _SECRET_OPTION.fullmatch(before)
        if option and len(option[1]) > 1 and is_secret(option[1]) and not argument.startswith("-"):
            return self._identities.secret(option[1], argument)
        if equals and name.startswith("-") and is_secret(name):
            return name + equals + self._identities.secret(name.strip("-"), value)
        return self.text(argument)

    # -- one value each

    def _plain(self, name: str, value: str) -> str:
        kept = self._identities.secret(name, value)
        return self._identities(self._beside_password(kept)) if kept == value else kept

    def _defined(self, name: str, value: str, defined: frozenset[str]) -> str:
        body, comment = value.rstrip(), value[len(value.rstrip()) :]
        quote = body[0] if body[:1] in {'"', "'"} and len(body) > 1 and body[-1] == body[0] else ""
        inner = body[1:-1] if quote else body
        if is_secret(name):
            kept = inner if is_switch(inner) and not quote else self._identities.secret(name, inner)
        elif is_harmless(inner) or inner in defined:
            kept = inner
        elif "://" in inner and " " not in inner.partition("://")[0]:
            kept = self._identities(self._beside_password(body))
            return kept + comment
        elif _is_socket_of(inner, defined):
            kept = self._identities(inner)
        else:
            kept = SCRUBBED
        return quote + kept + quote + comment

    def _substituted(self, mark: str, rest: str, defined: frozenset[str]) -> str:
        parts = rest.split(mark)
        if len(parts) < 3:
            return SCRUBBED
        return mark.join((parts[0], self._defined(parts[0], mark.join(parts[1:-1]), defined), parts[-1]))

    def _modparam(self, found: re.Match[str]) -> str:
        name, value = found[2][1:-1], found[4].strip()
        if not is_secret(name):
            return found[0]
        inner = value[1:-1] if value[:1] in {'"', "'"} else value
        if inner == value and is_integer(value) and not is_strong(name):
            return found[0]
        kept = self._identities.secret(name, inner)
        if kept == inner:
            return found[0]
        if value[:1] not in {'"', "'"}:
            return found[1] + found[2] + found[3] + ("0" if is_integer(value) else SCRUBBED)
        return found[1] + found[2] + found[3] + value[0] + kept.replace(value[0], "") + value[0]

    def _option(self, found: re.Match[str]) -> str:
        quote, name, value = (found[2], found[3], found[4]) if found[2] else ("", found[5], found[6])
        inner = value.strip("\\\"'")
        kept = self._defined(name, inner, frozenset())
        return f"{found[1]}{quote}{name}=" + (
            value if kept == inner else value.replace(inner, kept, 1) if inner else value
        )

    def _environment_word(self, found: re.Match[str]) -> str:
        quote, name, value, end = next(
            found.groups()[n : n + 4] for n in (0, 4, 8) if found.groups()[n] is not None
        )
        return f"{quote}{name}={self._variable(name, value)}{end}"

    def _assignment(self, found: re.Match[str]) -> str:
        value = found[3]
        quote = value[:1] if value[:1] in {'"', "'"} else ""
        inner = value[1:].removesuffix(quote) if quote else value
        end = quote if quote and len(value) > 1 and value.endswith(quote) else ""
        return found[1] + found[2] + "=" + quote + self._variable(found[2], inner) + end

    def _variable(self, name: str, value: str) -> str:
        """A variable of a unit or a shell file: options in it stay options, other words go."""
        if is_secret(name):
            return self._identities.secret(name, value)
        if is_harmless(value):
            return value
        if "://" in value:
            return self._identities(value)
        if value.lstrip().startswith(("-", "$")):
            return " ".join(self.arguments(value.split(" ")))
        return SCRUBBED

    def _entry(self, entry: str) -> str:
        name, equals, value = entry.partition("=")
        if not equals:
            return SCRUBBED if entry else entry
        return name + equals + (value if is_integer(value) and not is_secret(name) else SCRUBBED)

    def _beside_password(self, line: str) -> str:
        if not _HAS_PASSWORD.search(line):
            return line
        return _USER_BESIDE_PASSWORD.sub(rf"\1\2{SCRUBBED}", line)


def _is_socket_of(value: str, defined: frozenset[str]) -> bool:
    """tcp:MY_ADDRESS:MY_PORT, made of words that are defined in the same file."""
    parts = re.split(r"[:/\[\]]", value)
    known = {"udp", "tcp", "tls", "sctp", "ws", "wss", ""}
    return len(parts) > 1 and all(part in known or part in defined or part.isdigit() for part in parts)
