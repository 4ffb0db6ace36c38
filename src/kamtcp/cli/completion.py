"""kamtcp completion: a script for bash, zsh or fish, made from the commands' own options."""

from __future__ import annotations

import argparse

from kamtcp.cli import out
from kamtcp.cli.exits import Exit

SHELLS = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of completion."""
    parser.add_argument("shell", choices=SHELLS)
    parser.epilog = "bash: source <(kamtcp completion bash)   fish: kamtcp completion fish | source"


def run(options: argparse.Namespace) -> Exit:
    """Write the script."""
    out.say(script(options.shell))
    return Exit.OK


def flags() -> dict[str, list[str]]:
    """Options of every command, as the parsers have them."""
    from kamtcp.cli.commands import COMMANDS
    from kamtcp.cli.run import parser_of

    found = {}
    for name in COMMANDS:
        parser, _ = parser_of(name)
        actions = _actions(parser)
        found[name] = sorted({text for action in actions for text in action.option_strings})
        found[name] += [
            str(each) for action in actions if not action.option_strings for each in action.choices or ()
        ]
    return found


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Its options and arguments, and those of its kinds (`kamtcp load hold`)."""
    found = list(parser._actions)  # noqa: SLF001  (argparse offers no other way to list its options)
    for action in parser._actions:  # noqa: SLF001
        inner = action.choices if isinstance(action.choices, dict) else {}
        for each in inner.values():
            found += [one for one in _actions(each) if one.option_strings]
    return found


def script(shell: str) -> str:
    """The completion script for one shell."""
    words = flags()
    commands = " ".join(words)
    if shell == "fish":
        lines = [f"complete -c kamtcp -f -n __fish_use_subcommand -a '{commands}'"]
        for name, options in words.items():
            lines.append(
                f"complete -c kamtcp -n '__fish_seen_subcommand_from {name}' -a '{' '.join(options)}'"
            )
        return "\n".join(lines) + "\n"
    cases = "\n".join(f"    {name}) words='{' '.join(options)}' ;;" for name, options in words.items())
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return f"""{head}_kamtcp() {{
  local words current="${{COMP_WORDS[COMP_CWORD]}}"
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) words='{commands} --help --version' ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words='{commands} --help --version'; fi
  case "$current" in
    -*|'') COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$current")); [ "${{#COMPREPLY[@]}}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}}
complete -F _kamtcp kamtcp
"""
