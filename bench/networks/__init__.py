"""Whole networks, described once and built for every engine with the same weights."""
