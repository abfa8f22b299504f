"""Robust knowledge distillation and robustness evaluation in JAX."""

__version__ = '0.1.0'
