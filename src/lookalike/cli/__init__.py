"""The command line; `lookalike.cli.program.main` runs it."""
