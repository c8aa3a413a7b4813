"""A fair trial for rules that choose data: the same trainings with each rule, and every rule against chance.

settings      what a trial consists of: bench.yaml or the command line
experiments   from there to runs, in the form of a paper's settings; trials: trained and attacked by what trains the papers' runs
verdicts      each rule against a random subset, over paired seeds
pages         the table, the figure, the settings of every row, the verdicts
peers         apricot's and submodlib's solvers, by the same door as a user's own rule
"""
