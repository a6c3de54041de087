"""The lessons: every section of the foundations as a command that checks its own claims."""

LESSONS = {
    "data_scale": "accuracy against the number of examples, compared with classical learners",
    "dataset": "images, classes and pixel values of a data set",
    "score_function": "f(x) = Wx + b: scores, templates, decision planes",
    "regularization": "two models with the same loss, and the L2 penalty",
    "losses": "multiclass SVM and softmax side by side",
    "forward_pass": "from an image and weights to the loss, stage by stage",
    "gradient_descent": "start, step size and momentum",
    "optimization": "batch size, learning rate, optimizers, curvature",
    "backpropagation": "the computational graph and gradient checks",
    "network": "neurons and weights, drawn; why nonlinearity matters",
    "capacity": "decision regions with 1 to 20 hidden neurons",
    "activations": "sigmoid, tanh, ReLU: gradients, dead neurons, depth",
    "preprocessing": "centering, standardization, PCA, whitening",
    "initialization": "the scale of the first weights",
    "overfitting": "memorization, and how to notice it in time",
    "dropout": "masks, the preserved mean, and why it helps",
    "by_hand": "a network and its training in forty lines of JAX and optax",
}
"""What each lesson shows, in the order of the course."""
NAMES = tuple(LESSONS)
