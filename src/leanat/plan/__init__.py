"""Converts the papers' settings to runs, evaluations, items and jobs, and checks them."""
