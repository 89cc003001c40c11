"""Verbs: read, think, act, think, write, tell. A function that takes a Shop may act."""
