"""The playground without its page: settings, points, compiled programs, sessions."""
