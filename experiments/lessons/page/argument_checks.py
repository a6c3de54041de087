"""Which lines of a function check its arguments: a reader of the formula can do without them."""

import ast


def lines_of_checks(statement: ast.stmt) -> range:
    """The lines of a statement that does nothing but refuse wrong arguments, or of the last branch of one that does."""
    if _only_refuses(statement):
        return range(statement.lineno, (statement.end_lineno or 0) + 1)
    while isinstance(statement, ast.If) and len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        statement = statement.orelse[0]
    if isinstance(statement, ast.If) and len(statement.orelse) == 1 and _only_refuses(statement.orelse[0]):
        return range((statement.body[-1].end_lineno or 0) + 1, (statement.orelse[0].end_lineno or 0) + 1)
    return range(0)


def _only_refuses(statement: ast.stmt) -> bool:
    """Whether a statement raises, in every branch and turn that does anything."""
    if isinstance(statement, ast.If | ast.For):
        *before, last = statement.body
        return not statement.orelse and _only_refuses(last) and all(isinstance(one, ast.Assign) for one in before)
    return isinstance(statement, ast.Raise)
