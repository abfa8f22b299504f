"""The adversarial images of a training step."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.attacks import Search
from jaxrkd.methods import Attacked, Inner, Method, Teacher
from jaxrkd.models import Net
from jaxrkd.train.networks import STUDENT, TrainedNetworks

Array = jax.Array
Tree = Any
Batch = Mapping[str, Array]
# Student's logits_fn -> (images -> [B]).
Problem = Callable[..., Callable[[Array], Array]]


def adversarial_images(
  net: Net,
  variables: tuple[Tree, Tree],
  inner: Inner,
  teachers: Mapping[str, Teacher],
  batch: Batch,
  search: Search,
  attack_bn: str,
) -> tuple[Array, Tree]:
  """Solves the inner problem of a batch.

  Args:
    net: the network that is attacked.
    variables: its (params, stats), held fixed.
    inner: the problem.
    teachers: by role.
    batch: see `step.make_update`.
    search: the attack.
    attack_bn: 'eval' uses running statistics, 'batch' those of the batch, 'train' those
      of the batch, and every step of the attack moves the running ones.

  Returns:
    (images, stats after making them).
  """
  params, stats = variables
  mask = batch.get('mask')
  if inner.prepare is None:
    return batch['image'], stats
  problem = _counted(inner.prepare(teachers, batch), mask)
  if attack_bn == 'train':

    def moving(images, carry):
      return _with_memory(net, (params, carry), problem, images, mask)

    return search.with_carry(batch['key'], moving, batch['image'], stats)
  if attack_bn == 'batch':

    def student(inputs):
      return net.apply_train(params, stats, inputs, mask)[0]
  else:
    student = net.logits_fn(params, stats)
  return search(batch['key'], problem(student), batch['image']), stats


def _counted(problem: Problem, mask: Array | None) -> Problem:
  """The problem without the rows of padding.

  With the batch's own statistics the value of a row depends on all rows that count, so
  that padding would turn their gradients.
  """
  if mask is None:
    return problem

  def of_student(student):
    values = problem(student)
    return lambda images: values(images) * mask

  return of_student


def _with_memory(
  net: Net,
  variables: tuple[Tree, Tree],
  problem: Problem,
  images: Array,
  mask: Array | None,
) -> tuple[Array, Tree]:
  """The problem's values in training mode, and the stats after it."""
  params, stats = variables
  seen = [stats]

  def student(inputs):
    logits, seen[0] = net.apply_train(params, seen[0], inputs, mask)
    return logits

  values = problem(student)(images)
  return values, seen[0]


@dataclasses.dataclass(frozen=True)
class Attacker:
  """Makes the adversarial images of a step.

  Attributes:
    networks: those that are trained.
    method: whose inner problem is solved.
    search: the attack that raises it.
    bn: BatchNorm of those attacked, see `adversarial_images`.
  """

  networks: TrainedNetworks
  method: Method
  search: Search
  bn: str = 'eval'

  @property
  def batch_axes(self) -> Any:
    """Which axis is the batch's in the images that a call returns."""
    if not self.method.group:
      return 0
    axes: Any = (1, 0 if self.method.attacks_student else None)
    return Attacked(*axes)

  def __call__(
    self,
    params: Mapping[str, Tree],
    stats: Mapping[str, Tree],
    teachers: Mapping[str, Teacher],
    batch: Batch,
  ) -> tuple[Any, dict[str, Tree]]:
    """What `method.terms` takes as adversarial images, and the stats after making them.

    Args:
      params: of all networks, by name.
      stats: of all networks, by name.
      teachers: by role.
      batch: see `step.make_update`.
    """
    if not self.method.group:
      return self._student(params, stats, teachers, batch, self.search)
    particles, moved = self._group(params, stats, teachers, batch)
    if not self.method.attacks_student:
      return Attacked(particles), moved
    # Its start is none of theirs.
    size = self.networks.group.size
    keys = jax.vmap(lambda key: jax.random.fold_in(key, size))(batch['key'])
    # Beside a group the student is attacked like one of them: by one particle.
    images, moved = self._student(
      params, moved, teachers, {**batch, 'key': keys}, self.search.alone()
    )
    return Attacked(particles, images), moved

  def _student(
    self,
    params: Mapping[str, Tree],
    stats: Mapping[str, Tree],
    teachers: Mapping[str, Teacher],
    batch: Batch,
    search: Search,
  ) -> tuple[Array, dict[str, Tree]]:
    student = self.networks.student
    assert student is not None
    variables = (params[STUDENT], stats[STUDENT])
    images, own = adversarial_images(
      student, variables, self.method.inner, teachers, batch, search, self.bn
    )
    return images, {**stats, STUDENT: own}

  def _group(
    self,
    params: Mapping[str, Tree],
    stats: Mapping[str, Tree],
    teachers: Mapping[str, Teacher],
    batch: Batch,
  ) -> tuple[Array, dict[str, Tree]]:
    """One particle for each member of the group: [n, B, H, W, C], and all stats."""
    networks, inner = self.networks, self.method.inner
    mask, group = batch.get('mask'), networks.group
    clean = batch['image']
    if inner.prepare is None:
      return jnp.broadcast_to(clean, (group.size, *clean.shape)), dict(stats)
    problem = _counted(inner.prepare(teachers, batch), mask)
    if self.bn == 'train':

      def moving(images, carry):
        members = [(params[name], carry[name]) for name in networks.names]
        call = lambda net, variables, x: _with_memory(net, variables, problem, x, mask)
        found = group.each(call, group.join(members), images)
        own = {name: moved for name, (_, moved) in zip(networks.names, found)}
        return jnp.stack([values for values, _ in found]), own

      own = {name: stats[name] for name in networks.names}
      found, own = self.search.together_with_carry(
        batch['key'], moving, clean, group.size, own
      )
      return found, {**stats, **own}

    def call(net, variables, images):
      if self.bn == 'batch':
        student = lambda inputs: net.apply_train(*variables, inputs, mask)[0]
      else:
        student = net.logits_fn(*variables)
      return problem(student)(images)

    # Joined here, once, and not at every step of the attack.
    joined = group.join(networks.members(params, stats))
    objective = lambda images: jnp.stack(group.each(call, joined, images))
    found = self.search.together(batch['key'], objective, clean, group.size)
    return found, dict(stats)
