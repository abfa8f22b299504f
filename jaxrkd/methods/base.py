"""`Method`: what one published training method must supply, as pure functions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Tree = Any
Batch = Mapping[str, Array]
LogitsFn = Callable[[Array], Array]
Teachers = Mapping[str, LogitsFn]
Terms = dict[str, Array]
# (stats, images) -> (logits, new stats), in training mode. The order of calls is the
# order in which BatchNorm sees images, and belongs to the method.
Student = Callable[[Tree, Array], tuple[Array, Tree]]


def _nothing_observed(memory: Tree, terms: Terms, epoch: Array, first: Array) -> Tree:
  del terms, epoch, first
  return memory


def _no_gradient(weights: Tree, memory: Tree, terms: Terms) -> Tree:
  del memory, terms
  return jax.tree.map(jnp.zeros_like, weights)


def _weights_as_metrics(weights: Tree, memory: Tree, terms: Terms) -> Terms:
  del memory, terms
  return {f'weight_{name}': value for name, value in weights.items()}


class Method(NamedTuple):
  """A training method. A batch has `image` [B, H, W, C], `label` [B] and `mask` [B].

  Attributes:
    teachers: names of the frozen networks it asks for.
    objective: (student logits_fn, teachers, batch) -> function of images [B], raised by
      the inner search; None trains on clean images. The student is frozen.
    terms: (student, stats, teachers, batch, adversarial images) -> (named scalar losses,
      new stats). Differentiated with respect to the student.
    total: (terms, weights) -> the scalar that is minimised.
    weights: initial weights of its own, which optax moves before they are used.
    weight_rate: learning rate of `optax.sgd` on the weights.
    weight_rate_decays: whether it falls with the student's learning rate.
    weight_gradient: (weights, memory, terms) -> gradient of the weights.
    memory: what it remembers between steps, initially.
    observe: (memory, terms, epoch, is this the first step) -> memory; runs before
      `weight_gradient`. Neither sees gradients.
    report: (weights, memory, terms) -> scalars worth logging beside the terms.
  """

  teachers: tuple[str, ...]
  objective: Callable[[LogitsFn, Teachers, Batch], LogitsFn] | None
  terms: Callable[[Student, Tree, Teachers, Batch, Array], tuple[Terms, Tree]]
  total: Callable[[Terms, Tree], Array]
  weights: Tree = {}
  weight_rate: float = 0.0
  weight_rate_decays: bool = False
  weight_gradient: Callable[[Tree, Tree, Terms], Tree] = _no_gradient
  memory: Tree = {}
  observe: Callable[[Tree, Terms, Array, Array], Tree] = _nothing_observed
  report: Callable[[Tree, Tree, Terms], Terms] = _weights_as_metrics


def batch_mean(values: Array, batch: Batch) -> Array:
  """Mean of [B] values over the rows that count."""
  if 'mask' not in batch:
    return jnp.mean(values)
  mask = batch['mask'].astype(values.dtype)
  return jnp.sum(values * mask) / jnp.maximum(jnp.sum(mask), 1)


def sum_of_terms(terms: Terms, weights: Tree) -> Array:
  """The total of a method without weights of its own."""
  del weights
  return sum(terms.values(), start=jnp.zeros(()))
