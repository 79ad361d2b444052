"""`python -m lookalike`: the program, where the folder that pip puts it into is not searched."""

from lookalike.cli.program import main

if __name__ == "__main__":
    main()
