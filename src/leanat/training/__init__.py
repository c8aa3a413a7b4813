"""What several papers train with: objectives, learning rates, baselines."""
