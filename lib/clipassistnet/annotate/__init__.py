"""Labelling frames and reviewing predictions, in JupyterLab."""
