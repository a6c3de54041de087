"""What stands behind `experiments.leaderboard`: the recipes."""
