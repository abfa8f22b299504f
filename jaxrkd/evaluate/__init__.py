"""How robust a network is, and the results a run leaves."""

from jaxrkd.evaluate.attack_images import attack_images
from jaxrkd.evaluate.benchmark import Benchmark, benchmark
from jaxrkd.evaluate.trust_panel import trust_panel
from jaxrkd.evaluate.verdicts import Verdicts

__all__ = ['Benchmark', 'Verdicts', 'attack_images', 'benchmark', 'trust_panel']
