"""Real SIP connections, in an open loop: arrivals follow a schedule that a slow server can't slow down.

    with Load(Order("127.0.0.1", 5060, Steady(500, 100.0), hold_seconds=60.0), i_own_this_host=True) as load:
        result = load.watch(lambda progress: "disk is full" if disk_is_full() else None)

What is wanted   order.py (Order: one kind of clients, five modes), profile.py (several kinds, phases)
While it runs    board.Progress: counts, failures by cause, recent latencies; a reason given to `Load.stop` ends it
What came of it  result.Result: `load` (tally.Tally: offered == answered + failures.total()), `stretches` (one per phase and
                 population), `stages` (latencies), `rows` (by the second), `doubts` (why the generator can't vouch for it)

schedule.py   when each connection is due (pure)
sources.py    source addresses and ports, planned (pure)
sip.py        requests and answers; websocket/, digest.py, tls.py: what is spoken
program.py    what a worker carries out; ordered.py: made of an order; profiled.py: of a profile; dealing.py: shares
engine.py     a worker's run: acts.py, storm.py (phases), loop.py (events, clock), peers.py (state by descriptor),
              kinds.py, opening.py, wire.py, talking.py, keeping.py (what connections do)
merge.py      one result of all workers'; climbing.py: whether a step of a ramp gave
worker.py     one process around it; board.py: counters shared with its parent
processes.py  Load: as many processes as it takes
"""
