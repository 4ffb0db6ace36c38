"""What a setting or a counter is: facts as data, a TOML file per subject, and sizing functions beside it.

    entry.py      what is known of one setting or counter
    load.py       the TOML files -> entries, read on first use
    names.py      the spellings an operator may use -> the entry
    versions.py   which default a release had
    left_out.py   names that were looked at and left out, with the reason
    size.py       what a sizing function gives; sizing.py all of them by name; size_*.py the arithmetic
    look.py       a shell line that shows it without kamtcp
    markdown.py   an entry as a page of the reference

Nothing here reads a host. `kamtcp check` doesn't import it: reading the files takes longer than all of check's start.
"""
