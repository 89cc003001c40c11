"""Nouns and rules: values in, values out. Knows the standard library and msgspec; cannot act."""
