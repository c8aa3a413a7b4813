"""A paper, a folder."""
