"""Runnable experiments: `python -m experiments.NAME --help` describes each one and its options."""
