"""How robust a network is, and the results a run leaves."""

from jaxrkd.evaluate.attack_images import attack_images, trust_panel
from jaxrkd.evaluate.verdicts import Verdicts

__all__ = ['Verdicts', 'attack_images', 'trust_panel']
