"""kamtcp: how many connections a Kamailio host takes, what gives first, and what to change.

ARCHITECTURE.md is the map. Facts flow one way:
host -> observe, kamailio -> model -> capacity, diagnose -> cli.
"""

__version__ = "0.1.0"
