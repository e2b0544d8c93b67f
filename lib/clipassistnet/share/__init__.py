"""Copies of executed notebooks that may leave the hospital."""
