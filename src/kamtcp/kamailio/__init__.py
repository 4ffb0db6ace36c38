"""What Kamailio says of itself, and what it was told.

rpc.py          the first endpoint that answers; commands.py: which commands are asked, which never
binrpc.py, jsonrpc.py, values.py, fields.py    the two encodings, one kind of value
identity.py, levels.py                         replies as facts
config.py       kamailio.cfg (lexer, preprocess, definitions, conditions, substitution, statements, parameters)
cmdline.py      the command line; effective.py: which of command line and file wins
versions.py     what differs by version
loglines.py     known lines of its log
"""
