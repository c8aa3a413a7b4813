"""Methods and tools of training that do not come from the replicated papers.

objectives   cross-entropy, TRADES, MART
schedules    learning rates
free, fat    Free-AT and Friendly AT, as training attacks
awp          adversarial weight perturbation, as an objective
early_stop   keeping the epoch of highest robust accuracy
teacher      the running average of a network
overfitting  detection of the catastrophic overfitting of single-step training
"""
