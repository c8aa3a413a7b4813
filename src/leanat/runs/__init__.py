"""Trains and attacks networks, and keeps runs and outcomes on disk so that they can be resumed and watched."""
