"""Real SIP connections, in an open loop: arrivals follow a schedule that a slow server can't slow down.

order.py      what is wanted: target, schedule, transport, mode
schedule.py   when each connection is due (pure)
sources.py    source addresses and ports, planned (pure)
sip.py        requests and answers; tls.py: the client side of TLS
engine.py     one epoll loop
worker.py     one process around it; board.py: counters shared with its parent
processes.py  Load: as many processes as it takes
result.py     what came of it: a cause for every failure, latency from the scheduled moment
"""
