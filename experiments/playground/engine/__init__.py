"""The playground without a page: settings, data points, compiled programs, sessions."""
