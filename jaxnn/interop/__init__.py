"""Doors to other libraries, each in a room that imports it; nothing is loaded before it is asked for."""

__all__ = []
