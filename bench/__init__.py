"""Benchmarks: every operation and whole networks, alone (`pytest bench`) and beside other engines (`bench.compare`).

Run from the repository's root with cnnfast installed; nothing of this is part of the installed package.
"""
