"""Subset Adversarial Training."""
