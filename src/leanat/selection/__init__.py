"""Which examples an epoch trains on. A selector is called with the run and its data and returns a Subset.

basic           everything, at random, by loss; once, every so many epochs
craig, grad_match, glister: by last-layer gradients of the run's objective; subsets: of all examples, by class or by batch
el2n, margin, forgetting, moderate: pruning by a score of each example (ranked); balanced: by chance, within each class
from_file       the user's own rule
last_layer      these gradients, at what the run's attack makes of the examples; outer_products: how they are kept
granularity     for each class, or for whole batches; how a budget is shared. The algorithms:
facility        facility location by lazy greedy (CRAIG)
matching        orthogonal matching pursuit with weights that are not negative (GRAD-MATCH)
taylor          the greedy first-order gain of the validation likelihood (GLISTER)
"""
