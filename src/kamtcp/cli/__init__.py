"""The command line: a module per command, which parses, calls, renders and gives the exit code.

commands.py       the commands, one line each
run.py            finds the command's module, turns errors into one line and exit 2
exits.py          exit codes
out.py            stdout and stderr: closed, full, or left by their reader
source.py         where to look: this host or --from a recording
target.py         the target: options, target file; save_target.py writes it; highest.py remembers use
judge.py          snapshot and targets -> verdicts
check.py, explain.py, record.py, completion.py    the commands
report.py         verdicts as text; findings_text.py, timers_text.py, bars.py and wrap.py help it
document.py       verdicts as JSON (docs/check.schema.json); encode.py the bytes
nagios.py         verdicts as one plug-in line
explain_find.py   a name -> setting, ceiling or finding; explain_here.py its values; explain_facts.py joins both
explain_parameter.py    a parameter of one Kamailio; explain_links.py what speaks of what
explain_text.py, explain_document.py    what explain says, as text and as JSON (docs/explain.schema.json)
"""
