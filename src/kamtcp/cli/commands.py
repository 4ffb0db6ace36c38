"""The commands and what each is for: one table, which the start-up reads before anything else."""

COMMANDS = {
    "check": "how many connections this host takes, and what gives first",
    "explain": "what a setting, counter, ceiling or finding is, and its value here",
    "record": "keep everything that check reads in one file, scrubbed",
    "completion": "print a completion script for bash, zsh or fish",
}
