"""kamailio.cfg as a script: comments and the strings of routing blocks hold free text, so they go.

Line numbers stay, and everything outside routing blocks: parameters, listeners, modules, preprocessor directives.
"""

from __future__ import annotations

import re

from kamtcp.record.scrub_names import SCRUBBED, is_harmless

_IS_SCRIPT = re.compile(
    r"\A\s*(?:#!|!!)(?:KAMAILIO|ALL|SER|OPENSER|MAXCOMPAT)|^[ \t]*(?:loadmodulex?[ \t(]|modparamx?[ \t]*\(|(?:[a-z]+_)?route\b[^\n]*\{|(?:#!|!!)[a-z])",
    re.MULTILINE,
)
_TOKEN = re.compile(
    r"(?P<string>\"(?:[^\"\\]|\\.)*(?:\"|\Z)|'(?:[^'\\]|\\.)*(?:'|\Z))"
    r"|(?P<directive>^[ \t]*(?:#!|!!)(?:[^\n\\]|\\.)*)"
    r"|(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<route>(?<![A-Za-z0-9_])(?:[a-z]+_)?route[ \t]*(?:\[[^\]\n]{0,256}\])?\s{0,256}\{)"
    r"|(?P<brace>[{}])",
    re.DOTALL | re.MULTILINE,
)
_INCLUDE_BEFORE = re.compile(r"(?:include_file|import_file)[ \t]*$")
_METHODS = re.compile(
    r"(?:INVITE|ACK|BYE|CANCEL|OPTIONS|REGISTER|PRACK|SUBSCRIBE|NOTIFY|PUBLISH|INFO|REFER|MESSAGE|UPDATE|KDMQ|GET|POST|\|)+"
    r"|websocket|upgrade|application/json|text/html|L_[A-Z]{3,6}",
    re.IGNORECASE,
)
_DESCRIPTION = re.compile(r"(\bdesc[ \t]+)\"(?:[^\"\\\n]|\\.)*\"")
_LINE_COMMENT = re.compile(r"(?m)^([ \t]*)[#;](?!!)(?![ \t]*kamtcp\b)[^\n]*")


def is_script(text: str) -> bool:
    """The text is a Kamailio configuration, or a part of one that is included."""
    return bool(_IS_SCRIPT.search(text))


def without_free_text(text: str) -> str:
    """A configuration file of any kind without its comments; of Kamailio's also without strings in routing blocks.

    Comments that kamtcp itself wrote ("# kamtcp …") stay, so that its own files are known again.
    """
    if not is_script(text):
        return _LINE_COMMENT.sub(r"\1#", text)
    done: list[str] = []
    position = depth = 0
    for token in _TOKEN.finditer(text):
        done.append(text[position : token.start()])
        position = token.end()
        kind, found = token.lastgroup, token[0]
        if kind == "comment":
            done.append(_emptied(found))
        elif kind == "route":
            depth = 1 if not depth else depth + 1
            done.append(found)
        elif kind == "brace":
            if depth:
                depth += 1 if found == "{" else -1
            done.append(found)
        elif kind == "string" and depth and not _is_kept(found, text, token.start()):
            closed = len(found) > 1 and found[-1] == found[0]
            done.append(found[0] + SCRUBBED + "\n" * found.count("\n") + (found[0] if closed else ""))
        else:
            done.append(found)
    done.append(text[position:])
    return _DESCRIPTION.sub(rf'\1"{SCRUBBED}"', "".join(done))


def _is_kept(string: str, text: str, start: int) -> bool:
    return (
        is_harmless(string[1:-1])
        or bool(_METHODS.fullmatch(string[1:-1]))
        or bool(_INCLUDE_BEFORE.search(text, max(0, start - 40), start))
    )


def _emptied(comment: str) -> str:
    if comment.lstrip("#/ \t").startswith("kamtcp"):
        return comment
    if comment.startswith("/*"):
        return "/*" + "\n" * comment.count("\n") + "*/"
    return "#"
