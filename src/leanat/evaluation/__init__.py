"""What a trained network withstands, example by example."""
