"""The commands and what each is for: one table, which the start-up reads before anything else."""

COMMANDS = {
    "check": "how many connections this host takes, and what gives first",
    "calibrate": "measure on this host what a connection costs in Kamailio's memory",
    "explain": "what a setting, counter, ceiling or finding is, and its value here",
    "load": "open real SIP connections, many of them, and see what gives way",
    "plan": "what must change to hold a target, step by step; changes nothing",
    "record": "keep everything that check reads in one file, scrubbed",
    "completion": "print a completion script for bash, zsh or fish",
}
