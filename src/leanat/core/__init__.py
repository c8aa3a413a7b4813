"""The training loop that all papers share, and what it needs. Imports torch, pydantic and annotated-types."""
