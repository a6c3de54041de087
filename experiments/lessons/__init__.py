"""The lessons: every section of the foundations as a command that checks its own claims."""

NAMES = (
    "data_scale",
    "dataset",
    "score_function",
    "regularization",
    "losses",
    "forward_pass",
    "gradient_descent",
    "optimization",
    "backpropagation",
    "network",
    "capacity",
    "activations",
    "preprocessing",
    "initialization",
    "overfitting",
    "dropout",
)
"""The lessons in the order of the notes."""
