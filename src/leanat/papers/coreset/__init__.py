"""Adversarial coreset selection."""
