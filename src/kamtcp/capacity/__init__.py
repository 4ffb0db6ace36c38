"""How many connections fit, and what gives first: arithmetic on facts.

    ceiling.py      what a ceiling is: number, working, inputs, effect, what raises it
    situation.py    one instance with its machine, namespace and target: what every ceiling looks at
    prices.py       what one connection costs, by transport
    held_*.py       ceilings of open connections
    rate_*.py       ceilings of new connections
    timers.py       who closes first
    ladder.py       all of them in order, and the binding one
    catalogue.py    the list of all ceilings, one row each

No reads, no clock: the same facts and target give the same ladder.
"""
