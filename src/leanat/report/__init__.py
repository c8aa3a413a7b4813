"""From results on disk to tables, figures and verdicts; reads files.

Imports torch only to compose times (``composed``) and to compare counts of images (``counts``).
"""
