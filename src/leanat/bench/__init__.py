"""A fair trial of rules that choose data: the same trainings with each rule, and every rule is compared with chance.

settings      the settings of a trial, from bench.yaml or the command line
experiments   converts these to runs, in the form of a paper's settings; trials: trains and attacks like the papers' runs
verdicts      compares each rule with a random subset, over paired seeds
pages         the table, the figure, the settings of every row, the verdicts
peers         apricot's and submodlib's solvers, used in the same way as a user's own rule
"""
