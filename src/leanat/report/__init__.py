"""From results on disk to tables, figures and verdicts; reads files only and never imports torch."""
