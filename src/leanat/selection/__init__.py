"""Which examples an epoch trains on. A selector is called with the run and its data and returns a Subset.

basic           all examples, random ones, or by loss; a selection once, or every few epochs
craig, grad_match, glister   by last-layer gradients of the run's objective
ranked          pruning by a score per example: EL2N, margin, moderate; random examples within each class
forgetting      pruning by forgetting events
from_file       the user's own rule
subsets         selection by gradients: among all examples, by class or by batch
last_layer      last-layer gradients at the adversarial examples of the run's attack; outer_products: their storage
granularity     choosing within each class, or whole batches, and dividing the budget
facility        the algorithm of CRAIG: facility location by lazy greedy
matching        the algorithm of GRAD-MATCH: orthogonal matching pursuit with non-negative weights
taylor          the algorithm of GLISTER: greedy maximisation of the validation likelihood, to first order
"""
