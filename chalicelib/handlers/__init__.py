"""Doors in: alone know Chalice, HTTP and event shapes. Parse, call once, render."""
