"""leanat: lean adversarial training, five papers replicated in one package."""

__version__ = "0.1.0"
