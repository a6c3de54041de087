"""Bridges to other libraries; each submodule imports its library, and none is imported here."""

__all__ = []
