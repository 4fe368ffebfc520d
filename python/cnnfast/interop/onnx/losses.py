"""Losses that are nodes of a graph."""
