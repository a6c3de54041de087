"""Measured results, and the command that fills the tables of the READMEs from them."""
