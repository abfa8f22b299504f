"""How robust a network is, and the results a run leaves."""

from jaxrkd.evaluate.attack_images import attack_images
from jaxrkd.evaluate.benchmark import Benchmark, benchmark
from jaxrkd.evaluate.distances import Distances, minimum_norm
from jaxrkd.evaluate.radii import Radii, attack_radii
from jaxrkd.evaluate.trust_panel import trust_panel
from jaxrkd.evaluate.verdicts import Verdicts

__all__ = [
  'Benchmark',
  'Distances',
  'Radii',
  'Verdicts',
  'attack_images',
  'attack_radii',
  'benchmark',
  'minimum_norm',
  'trust_panel',
]
