"""Less is More: Data Pruning for Faster Adversarial Training."""
