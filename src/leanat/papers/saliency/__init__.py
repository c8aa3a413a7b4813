"""Get Fooled for the Right Reason: the saliency-guided curriculum."""
