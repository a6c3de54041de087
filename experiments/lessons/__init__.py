"""The lessons: each section of the course as a command that checks its own claims."""

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
"""In the order of the course."""
