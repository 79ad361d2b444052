"""The command line: `main` is what runs when somebody types `lookalike`."""

from lookalike.cli.program import main, program

__all__ = ["main", "program"]
