"""What a measurement attacked, in the words of pages and tables."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.attacks import UNFORESEEN
from jaxrkd.attacks.threat import radius
from jaxrkd.evaluate import results


def in_ball(part: ConfigDict) -> dict[str, Mapping[str, Any]]:
  """The columns of `evaluation` whose attacks have a ball, which the worst case is taken over."""
  nodes = {name: node.to_dict() for name, node in part.attacks.items()}
  return {k: node for k, node in nodes.items() if node.get('name', k) not in UNFORESEEN}


def radii(part: ConfigDict) -> list[float]:
  """The radii of the columns' balls, each once; without such a column that of the threat."""
  own = {node.get('eps') or part.threat.eps for node in in_ball(part).values()}
  return sorted(own) or [part.threat.eps]


def ball(part: ConfigDict) -> str:
  """'linf eps 0.1', or 'linf eps 0.01 to 0.1' where columns have radii of their own."""
  sizes = radii(part)
  told = ' to '.join(radius(eps) for eps in dict.fromkeys((sizes[0], sizes[-1])))
  return f'{part.threat.name} eps {told}'


def heads(part: ConfigDict) -> dict[str, str]:
  """Column -> what it is called where it has a radius of its own: 'pgd, eps 0.02'."""
  # Those of --radii are named after their radius.
  return {
    name: f'{name.partition("_eps_")[0]}, eps {radius(node["eps"])}'
    for name, node in in_ball(part).items()
    if node.get('eps') and node['eps'] != part.threat.eps
  }


def lead(part: ConfigDict, row: Mapping[str, Any]) -> str:
  """One sentence, or two, with the numbers that matter.

  Args:
    part: `evaluation`.
    row: of the network that stands for the run; see `results.summarize`.
  """
  low, high = row['worst_case_interval']
  told = (
    f'Of {row["images"]:,} images it is right on {100 * row["clean"]:.1f} % as they are, and '
    f'stays right on {100 * row["worst_case"]:.1f} % (95 % interval: {100 * low:.1f} to '
    f'{100 * high:.1f}) under'
  )
  columns = in_ball(part)
  if not columns:
    told += f' {", ".join(row["attacks"])}.'
  else:
    only = next(iter(columns)) if len(columns) == 1 else f'all {len(columns)} attacks'
    strong = any(node.get('name', name) == 'autoattack' for name, node in columns.items())
    told += (
      f' {only} in {_balls(part)}{"" if strong else "; AutoAttack is not among them"}.'
    )
  transferred = [name for name, node in columns.items() if node.get('surrogate')]
  if transferred and len(transferred) == len(columns):
    told += ' These images were made on other networks; an attack on this one may leave far fewer.'
  elif transferred:
    told += f' Images of {", ".join(transferred)} were made on other networks.'
  if any(results.star(attack) for attack in row['attacks'].values()):
    told += (
      ' Attacks with a star did not work as they should: the number may be too high.'
    )
  return told


def _balls(part: ConfigDict) -> str:
  sizes, name = radii(part), part.threat.name
  if len(sizes) > 1:
    return (
      f'{name} balls of eps {radius(sizes[0])} to {radius(sizes[-1])}, each in its own'
    )
  found = f'the {name} ball of eps {radius(sizes[0])}'
  if name == 'linf':
    found += f' (no pixel moves by more than {255 * sizes[0]:.4g} of 255 levels)'
  return found
