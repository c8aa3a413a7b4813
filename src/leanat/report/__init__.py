"""Makes tables, figures and verdicts from the results on disk.

Imports torch only to compose times (``composed``) and to compare numbers of images (``counts``).
"""
