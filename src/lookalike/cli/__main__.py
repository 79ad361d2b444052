"""`python -m lookalike.cli` is the same program as `lookalike`."""

from lookalike.cli.program import main

if __name__ == "__main__":
    main()
