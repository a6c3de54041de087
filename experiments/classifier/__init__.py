"""What stands behind training a classifier: settings, task, data, results, resume, several hosts."""
