"""Q-TART."""
