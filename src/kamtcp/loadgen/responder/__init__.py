"""A SIP server that answers OPTIONS and REGISTER over tcp, tls, ws and wss: something to load where no Kamailio is.

serving.py   `serve`: its processes; settings.py: what it shall do, what it says of itself
loop.py      the event loop; sessions.py: state of a connection (TLS, WebSocket)
messages.py  requests out of a stream; answers.py: answers; registrar.py: REGISTER, digest authentication
faults.py    what it does wrong, on order
started.py   a responder in a process of its own, for tests and benchmarks
__main__.py  `python -m kamtcp.loadgen.responder TARGET…`
"""
