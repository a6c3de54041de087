"""The live 2-D classifier in the browser."""
