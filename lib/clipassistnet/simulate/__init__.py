"""Simulated laparoscopic videos with the exact visibility of each jaw's tip."""

from clipassistnet.simulate.generate import Spec, plans, simulate

__all__ = ["Spec", "plans", "simulate"]
