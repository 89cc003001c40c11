"""Backroom: the room behind the store. Rooms and who may know what: docs/architecture.md."""
