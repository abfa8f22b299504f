"""One experiment from its config to its results."""

from jaxrkd.run.experiment import train_and_evaluate, train_teachers

__all__ = ['train_and_evaluate', 'train_teachers']
