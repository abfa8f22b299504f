"""IKL and GKL: KL taken apart into a weighted squared distance and a cross-entropy.

Cui et al., Decoupled Kullback-Leibler Divergence Loss, NeurIPS 2024, and its generalised
form; defaults are those of the released code.
"""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import above_zero, in_range
from jaxrkd.methods.base import Batch, Method, Tree, batch_mean, labels
from jaxrkd.methods.epoch_sums import Seen
from jaxrkd.methods.inner import Inner

Array = jax.Array


def ikl(
  alpha: float = 4.0,
  beta: float = 20.0,
  temperature: float = 4.0,
  attack_beta: float = 1.0,
) -> Method:
  """CE(S(x), y) + beta 1/2 Var_w(S(x) - S(x')) + alpha CE(S(x) || S(x')), means over images.

  Var_w is the variance over classes with the weights w = the mean of softmax(S(x) / t) over
  the images of the label's class in the epoch before, 1 / C in the first. S(x) is constant
  in the last term alone. x' raises the last two terms, unweighted.

  Args:
    alpha: weight of the cross-entropy.
    beta: weight of the squared distance.
    temperature: t of the class means.
    attack_beta: weight of the squared distance in the attack; the code has 1 on CIFAR-100
      and 0 on CIFAR-10.
  """
  return _decoupled(alpha, beta, temperature, attack_beta, gamma=1.0, normalised=False)


def gkl(
  alpha: float = 4.0,
  beta: float = 20.0,
  temperature: float = 1.0,
  gamma: float = 0.4,
  attack_beta: float = 1.0,
) -> Method:
  """IKL with the weights w^gamma; the squared distance is divided by their mean square sum.

  Args:
    alpha: weight of the cross-entropy.
    beta: weight of the squared distance.
    temperature: t of the class means.
    gamma: exponent of the weights; 1 is IKL. The code has 0.4 on CIFAR-100, 0.2 on
      CIFAR-10.
    attack_beta: weight of the squared distance in the attack, where gamma is 1.
  """
  return _decoupled(alpha, beta, temperature, attack_beta, gamma, normalised=True)


def _decoupled(
  alpha: float,
  beta: float,
  temperature: float,
  attack_beta: float,
  gamma: float,
  normalised: bool,
) -> Method:
  named = dict(alpha=alpha, beta=beta, attack_beta=attack_beta, gamma=gamma)
  for name, value in named.items():
    in_range(value, 0, float('inf'), f'method.{name}')
  above_zero(temperature, 'method.temperature')

  def class_weights(batch: Batch) -> Array:
    return batch['memory'][batch['label']]

  def prepare(teachers, batch):
    del teachers
    weights = class_weights(batch)

    def of_student(student):
      clean = jax.lax.stop_gradient(student(batch['image']))
      target = jax.nn.softmax(clean)

      def value(x):
        logits = student(x)
        apart = attack_beta * half_variance(weights, clean - logits)
        return apart + losses.cross_entropy(logits, target)

      return value

    return of_student

  def terms(student, stats, teachers, batch, adversarial):
    del teachers
    adv, stats = student(stats, adversarial)
    nat, stats = student(stats, batch['image'])
    weights = class_weights(batch) ** gamma
    apart = batch_mean(half_variance(weights, nat - adv), batch)
    if normalised:
      apart = apart / batch_mean(jnp.sum(weights, axis=-1) ** 2, batch)
    target = jax.lax.stop_gradient(jax.nn.softmax(nat))
    found = {
      'nat': batch_mean(losses.cross_entropy(nat, labels(batch)), batch),
      'distance': apart,
      'adv': batch_mean(losses.cross_entropy(adv, target), batch),
    }
    return found, stats, {'probs': jax.nn.softmax(nat / temperature)}

  def total(terms, weights):
    del weights
    return terms['nat'] + beta * terms['distance'] + alpha * terms['adv']

  def end_of_epoch(memory: Tree, sums: Seen, counts: Array, batch: Batch) -> Tree:
    del batch
    # A class without an image keeps what it had.
    means = sums['probs'] / jnp.maximum(counts, 1)[:, None]
    return jnp.where(counts[:, None] > 0, means, memory)

  return Method(
    Inner(prepare),
    terms,
    total=total,
    memory=lambda classes: jnp.full((classes, classes), 1 / classes),
    sums=lambda classes: {'probs': jnp.zeros((classes, classes))},
    end_of_epoch=end_of_epoch,
    report=lambda weights, memory, terms: {},
  )


def half_variance(weights: Array, difference: Array) -> Array:
  """1/4 sum_jk w_j w_k (d_j - d_k)^2 of weights and differences [B, classes], [B]."""
  mean = jnp.sum(weights * difference, axis=-1)
  square = jnp.sum(weights * difference**2, axis=-1)
  return 0.5 * (jnp.sum(weights, axis=-1) * square - mean**2)
