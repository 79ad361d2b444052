"""Runs the command-line program as `python -m lookalike.cli`."""

from lookalike.cli.program import main

if __name__ == "__main__":
    main()
