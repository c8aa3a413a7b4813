"""The cost of jobs: measured and predicted."""
