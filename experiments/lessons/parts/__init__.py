"""Parts of single lessons that would make their file too long to read; each is named after its lesson."""
