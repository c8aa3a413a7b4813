"""The replicated papers, one folder per paper."""
