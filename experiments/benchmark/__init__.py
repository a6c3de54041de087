"""Speed compared with other libraries: `python -m experiments.benchmark`."""
