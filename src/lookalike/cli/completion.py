"""`lookalike completion`: the script that completes commands, options and values in a shell."""

from __future__ import annotations

import click

from lookalike.cli import output

VARIABLE = "_LOOKALIKE_COMPLETE"
"""Environment variable by which the script asks the program; click derives it from the program's name."""


@click.command("completion")
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Write the script that completes commands, options and values in a shell.

    \b
    eval "$(lookalike completion bash)"         # in ~/.bashrc, bash 4.4 or newer
    eval "$(lookalike completion zsh)"          # in ~/.zshrc, after compinit
    lookalike completion fish > ~/.config/fish/completions/lookalike.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "lookalike", VARIABLE)
    # Not BashComplete.source, which starts the bash on the PATH to look at its version.
    output.put(ShellComplete.source(script).strip())
