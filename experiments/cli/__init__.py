"""Shared by all commands: exit statuses and signals, files, environment, progress, rescue of results."""
