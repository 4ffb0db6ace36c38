"""Findings: ceilings too low for the target, and settings that are wrong, dangerous or without effect.

    codes.py     every code, registered once: name, severity, page
    finding.py   what a finding is: evidence, a line to see for oneself, two cures
    cures.py     the cure of each ceiling: now (no restart, nothing lost) and for good
    restart.py   what a restart costs
    below.py     ceilings below the target
    fatal.py     rules that stop a server, or its next start
    high.py      rules that will hurt under the load this tool is for
    rule.py      what a rule is: it yields findings, and the facts it lacked
    lines.py     a setting as rules see it: in force, and the line that sets it at boot; lines that mend both
    settings_tcp.py, settings_memory.py, settings_ports.py, settings_queue.py, settings_conntrack.py    of the kernel
    settings_limits.py, settings_kamailio.py    limits on files; parameters that don't fit
    settings_gone.py, settings_files.py (harmless.py, kernel_defaults.py)    what lines of files are worth
    rules.py     all of them, worst first, and what they could not judge

Arithmetic on facts: no reads, no clock.
"""
