"""Weights in from PyTorch and Haiku files, students out to where they are used."""

from jaxrkd.interop.formats import FORMATS, load_exported
from jaxrkd.interop.from_numpy import from_numpy
from jaxrkd.interop.public_files import public_file
from jaxrkd.interop.read_network import ReadNetwork, read_network
from jaxrkd.interop.recipes import RECIPES, Recipe

__all__ = [
  'FORMATS',
  'RECIPES',
  'ReadNetwork',
  'Recipe',
  'from_numpy',
  'load_exported',
  'public_file',
  'read_network',
]
