"""Datasets: the folder's tables, its frames, annotation, folds and the importers."""
