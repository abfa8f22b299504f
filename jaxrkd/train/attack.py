"""The adversarial images of a training step."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.attacks import Search
from jaxrkd.methods import Attacked, Inner, Method, Teacher
from jaxrkd.methods.answering import answering
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
  counts: bool = False,
) -> tuple[Array, Tree, dict[str, Array]]:
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
    counts: count at how many points of the search the network was right.

  Returns:
    (images, stats after making them, {'withstood': [B]} if that is counted, else {}).
  """
  params, stats = variables
  mask = batch.get('mask')
  nobody = jnp.zeros(batch['label'].shape) if counts else None
  if inner.prepare is None:
    return batch['image'], stats, _withstood(nobody)
  problem = _counted(inner.prepare(teachers, batch), mask)
  if attack_bn == 'train':

    def moving(images, carry):
      stats, hits = carry
      watch = Watch(batch['label'])
      values, stats = _with_memory(net, (params, stats), problem, images, mask, watch)
      return values, (stats, hits if hits is None else hits + watch.right)

    start = (stats, nobody)
    images, (stats, hits) = search.with_carry(batch['key'], moving, batch['image'], start)
    return images, stats, _withstood(hits)
  if attack_bn == 'batch':

    def student(inputs):
      return net.apply_train(params, stats, inputs, mask)[0]
  else:
    student = net.logits_fn(params, stats)
  if not counts:
    return search(batch['key'], problem(student), batch['image']), stats, {}
  watch = Watch(batch['label'])
  values = problem(watch.over(student))

  def counting(images, hits):
    watch.images = images
    return values(images), hits + watch.right

  images, hits = search.with_carry(batch['key'], counting, batch['image'], nobody)
  return images, stats, _withstood(hits)


def _withstood(hits: Array | None) -> dict[str, Array]:
  return {} if hits is None else {'withstood': hits}


class Watch:
  """Whether a network is right about the images that an objective is asked about.

  The objective gives values alone, so what it asks of the network is looked at in passing.

  Attributes:
    images: those the objective is asked about.
    right: [B], 1 where the network's answer was the label.
  """

  def __init__(self, label: Array):
    self._label = label
    self.images: Array | None = None
    self.right: Array = jnp.zeros(label.shape)

  def over(self, student: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The same network, watched."""

    def watched(inputs: Array) -> Array:
      logits = student(inputs)
      if inputs is self.images:
        answer = jnp.argmax(logits, axis=-1)
        self.right = (answer == self._label).astype(self.right.dtype)
      return logits

    return watched


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
  watch: Watch | None = None,
) -> tuple[Array, Tree]:
  """The problem's values in training mode, and the stats after it."""
  params, stats = variables
  seen = [stats]

  def student(inputs):
    logits, seen[0] = net.apply_train(params, seen[0], inputs, mask)
    return logits

  if watch:
    watch.images = images
    student = watch.over(student)
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
  def has_particles(self) -> bool:
    """Whether each member of a group gets images of its own."""
    return bool(self.method.group) and self.method.attacks_group

  @property
  def batch_axes(self) -> Any:
    """Which axis is the batch's in the images that a call returns."""
    if not self.has_particles:
      return 0
    axes: Any = (1, 0 if self.method.attacks_student else None)
    return Attacked(*axes)

  def __call__(
    self,
    params: Mapping[str, Tree],
    stats: Mapping[str, Tree],
    teachers: Mapping[str, Teacher],
    batch: Batch,
  ) -> tuple[Any, dict[str, Tree], dict[str, Array]]:
    """What `method.terms` takes as adversarial images, and the stats after making them.

    The third is what the batch then has more; see `adversarial_images`.

    Args:
      params: of all networks, by name.
      stats: of all networks, by name.
      teachers: by role.
      batch: see `step.make_update`.
    """
    if not self.method.group:
      return self._student(params, stats, teachers, batch, self.search)
    if not self.method.attacks_group:
      learning = self.networks.answers(params, stats)
      asked = answering({**teachers, **learning}, ())
      return self._student(params, stats, asked, batch, self.search.alone())
    particles, moved = self._group(params, stats, teachers, batch)
    if not self.method.attacks_student:
      return Attacked(particles), moved, {}
    # Its start is none of theirs.
    size = self.networks.group.size
    keys = jax.vmap(lambda key: jax.random.fold_in(key, size))(batch['key'])
    # Beside a group the student is attacked like one of them: by one particle.
    images, moved, counted = self._student(
      params, moved, teachers, {**batch, 'key': keys}, self.search.alone()
    )
    return Attacked(particles, images), moved, counted

  def _student(
    self,
    params: Mapping[str, Tree],
    stats: Mapping[str, Tree],
    teachers: Mapping[str, Teacher],
    batch: Batch,
    search: Search,
  ) -> tuple[Array, dict[str, Tree], dict[str, Array]]:
    student = self.networks.student
    assert student is not None
    variables = (params[STUDENT], stats[STUDENT])
    images, own, counted = adversarial_images(
      student,
      variables,
      self.method.inner,
      teachers,
      batch,
      search,
      self.bn,
      self.method.counts_withstood,
    )
    return images, {**stats, STUDENT: own}, counted

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
