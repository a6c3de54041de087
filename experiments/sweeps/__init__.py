"""What stands behind `experiments.sweep`: the grid and the store of finished chunks."""
