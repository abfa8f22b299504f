"""The adversarial images of a training step."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.attacks import Search
from jaxrkd.methods import Attacked, Inner, Method, Teacher
from jaxrkd.models import Net
from jaxrkd.train.crew import STUDENT, Crew

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


def group_particles(
  crew: Crew,
  params: Mapping[str, Tree],
  stats: Mapping[str, Tree],
  inner: Inner,
  teachers: Mapping[str, Teacher],
  batch: Batch,
  search: Search,
  attack_bn: str,
) -> tuple[Array, dict[str, Tree]]:
  """One particle for each member of the crew's group: [n, B, H, W, C], and all stats.

  Arguments as `adversarial_images`; `params` and `stats` are by name.
  """
  mask, group = batch.get('mask'), crew.group
  clean = batch['image']
  if inner.prepare is None:
    return jnp.broadcast_to(clean, (group.size, *clean.shape)), dict(stats)
  problem = _counted(inner.prepare(teachers, batch), mask)
  if attack_bn == 'train':

    def moving(images, carry):
      members = [(params[name], carry[name]) for name in crew.names]
      call = lambda net, variables, x: _with_memory(net, variables, problem, x, mask)
      found = group.each(call, group.join(members), images)
      own = {name: moved for name, (_, moved) in zip(crew.names, found)}
      return jnp.stack([values for values, _ in found]), own

    own = {name: stats[name] for name in crew.names}
    found, own = search.together_with_carry(batch['key'], moving, clean, group.size, own)
    return found, {**stats, **own}

  def call(net, variables, images):
    if attack_bn == 'batch':
      student = lambda inputs: net.apply_train(*variables, inputs, mask)[0]
    else:
      student = net.logits_fn(*variables)
    return problem(student)(images)

  # Joined here, once, and not at every step of the attack.
  joined = group.join(crew.members(params, stats))
  objective = lambda images: jnp.stack(group.each(call, joined, images))
  return search.together(batch['key'], objective, clean, group.size), dict(stats)


def batch_axes(method: Method) -> Any:
  """Which axis is the batch's in what `attack_all` gives as images."""
  if not method.group:
    return 0
  axes: Any = (1, 0 if method.attacks_student else None)
  return Attacked(*axes)


def attack_all(
  crew: Crew,
  params: Mapping[str, Tree],
  stats: Mapping[str, Tree],
  method: Method,
  teachers: Mapping[str, Teacher],
  batch: Batch,
  search: Search,
  attack_bn: str,
) -> tuple[Any, dict[str, Tree]]:
  """What `method.terms` takes as adversarial images, and the stats after making them."""

  def student(batch, stats):
    assert crew.student is not None
    variables = (params[STUDENT], stats[STUDENT])
    images, own = adversarial_images(
      crew.student, variables, method.inner, teachers, batch, climber, attack_bn
    )
    return images, {**stats, STUDENT: own}

  # Beside a group the student is attacked like one of them: by one particle.
  climber = search.alone() if method.group else search
  if not method.group:
    return student(batch, stats)
  particles, moved = group_particles(
    crew, params, stats, method.inner, teachers, batch, search, attack_bn
  )
  if not method.attacks_student:
    return Attacked(particles), moved
  # Its start is none of theirs.
  keys = jax.vmap(lambda key: jax.random.fold_in(key, crew.group.size))(batch['key'])
  images, moved = student({**batch, 'key': keys}, moved)
  return Attacked(particles, images), moved
