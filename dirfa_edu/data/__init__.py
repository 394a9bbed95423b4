"""Clips on disk: the sample corpus and other layouts, and what may be damaged in them."""
