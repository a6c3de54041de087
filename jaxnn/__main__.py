"""`python -m jaxnn`: the library has no commands; those of `experiments`, which it does not import, are named."""

print("The library has no commands of its own; `jaxnn` and `python -m experiments` list those that come with it.")
