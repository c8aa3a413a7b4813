"""What jobs take: measured, predicted, and asked of a cluster."""
