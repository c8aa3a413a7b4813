"""The site: static pages from a claim to a cell, from a cell to its runs, from a run to its curves; docs/site.md."""
