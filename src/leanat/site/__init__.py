"""The site: static pages that link claims to cells, cells to their runs, and runs to their curves; see docs/site.md."""
