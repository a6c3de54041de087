"""What stands behind `experiments.sweep`: its options and grid, its work, and the store of finished chunks."""
