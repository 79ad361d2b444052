"""A library that is served elsewhere, asked over HTTP in the words of `Library`.

Only the standard library is used, so a program that asks needs nothing else of this package's machinery.
"""
