"""Robust accuracy and other measures of a trained network, example by example."""
