"""From the papers' settings to what is run and shown: runs, evaluations, items, jobs, and what is wrong with them."""
