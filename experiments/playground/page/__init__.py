"""The page of the playground: controls, figures, view, server."""
