"""Speed beside what a user would pick instead: `python -m experiments.benchmark`."""
