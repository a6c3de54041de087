"""What every command needs: exit codes and signals, files, progress, the rescue of results."""
