"""Log lines: the time, process, level, function and numbers of Kamailio's own messages stay; users do not.

Lines that a routing script wrote ("<script>:", also over several lines) and accounting lines can hold anything: only
their beginning is kept. So can lines of other programs, which share /var/log/syslog (commands that sudo or cron ran).
"""

from __future__ import annotations

import re

from kamtcp.record.scrub_names import SCRUBBED, Names

_BEGINS = re.compile(
    r"(?:<\d+>)?(?:\d+ )?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d|\s?\d+\(\d+\) [A-Z]+:|\S+\[\d+\]:)"
)
_SYSLOG_HOST = re.compile(
    r"^((?:<\d+>)?(?:\d+ )?(?:[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
    r" +)([A-Za-z0-9_.:-]+)(?= +[^\s:\[]{1,64}(?:\[\d+\])?:|(?: \S+){2} )"
)
_TAG = re.compile(r"(?: +\d+)?[ ]*([^\s:\[]{1,64})(?:\[\d+\]|(?: \S+){2})?:?[ ]?")
_OURS = re.compile(r"(?i)kamailio|^(?:kernel|systemd)$")  # whose messages are known, and are wanted
_LEVEL = re.compile(
    r"\b(?:ALERT|BUG|CRITICAL|ERROR|WARNING|NOTICE|INFO|DEBUG): \S+ \["
)  # under another log_name
_FREE_TEXT = re.compile(r"(<script>:|\bACC:)[ \t]?(?=\S)")
_USER = re.compile(
    r"(?i)(?<![A-Za-z0-9_-])((?:user(?:name)?|ruser|fuser|tuser|auth_?user|aor|caller(?:id)?|callee|account|login|subscriber|from_user|to_user"
    r"|display(?:_?name)?|contact|from|to|src_user|dst_user|(?-i:[frtoa]U))(?:\s?[=:]\s?|\s)[\[('\"<]{1,2}"
    r"|(?:user(?:name)?|ruser|fuser|tuser|auth_?user|aor|caller(?:id)?|callee|account|login|subscriber|from_user|to_user|src_user|dst_user|(?-i:[frtoa]U))=)"
    r"(?!(?:sips?|tel|user-[0-9a-f]{10}|scrubbed)\b)([^\s\[\]()'\"<>;,=]{1,128})"
)


class Log:
    """Scrubs log text, before the general rules go over it.

    Args:
        names: the pseudonyms.
    """

    def __init__(self, names: Names) -> None:
        self._names = names

    def text(self, text: str) -> str:
        """Line by line; the number of lines stays the same."""
        free = False
        done = []
        for line in text.splitlines(keepends=True):
            bare = line.rstrip("\r\n")
            ending = line[len(bare) :]
            if _BEGINS.match(bare):
                free = False
            elif free and bare:
                done.append(SCRUBBED + ending)
                continue
            found = _FREE_TEXT.search(bare)
            if found:
                free = True
                bare = bare[: found.end()] + SCRUBBED
            host = _SYSLOG_HOST.match(bare)
            if host:
                tag = _TAG.match(bare, host.end())
                if tag and not _OURS.search(tag[1]) and not _LEVEL.search(bare):
                    free = True
                    bare = bare[: tag.end()] + SCRUBBED
                bare = _SYSLOG_HOST.sub(lambda m: m[1] + self._names.host(m[2]), bare)
            done.append(_USER.sub(lambda m: m[1] + self._names.user(m[2]), bare) + ending)
        return "".join(done)
