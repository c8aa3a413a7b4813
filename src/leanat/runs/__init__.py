"""Runs and evaluations on disk: train, attack, resume, watch."""
