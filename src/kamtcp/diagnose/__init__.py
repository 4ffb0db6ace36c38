"""Findings: ceilings too low for the target, and settings that are wrong, dangerous or without effect.

    codes.py     every code, registered once: name, severity, page
    finding.py   what a finding is: evidence, a line to see for oneself, two cures
    cures.py     the cure of each ceiling: now (no restart, nothing lost) and for good
    restart.py   what a restart costs
    below.py     ceilings below the target
    fatal.py     rules that stop a server, or its next start
    high.py      rules that will hurt under the load this tool is for
    rules.py     all of them, worst first

Arithmetic on facts: no reads, no clock.
"""
