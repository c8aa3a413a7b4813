"""The loop that all papers share, and what it is made of; imports torch, and pydantic and annotated-types for its fields."""
