"""What jobs take: measured and predicted."""
