"""Parts of training that are not the own idea of a paper replicated here.

objectives   cross-entropy, TRADES, MART
schedules    learning rates
free, fat    Free-AT and Friendly AT: attacks of training
awp          adversarial weight perturbation: an objective
early_stop   the epoch of highest robust accuracy is kept
teacher      the running average of a network
overfitting  a watch over the catastrophic overfitting of single-step training
"""
