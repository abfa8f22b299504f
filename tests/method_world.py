"""A linear student, teachers and a batch, which numpy can follow by itself."""

import jax.numpy as jnp
import numpy as np

B, D, C = 6, 4, 5


def softmax(z):
  e = np.exp(z - z.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def kl(p, q):
  return (p * (np.log(p) - np.log(q))).sum(-1)


class World:
  """A linear student, two linear teachers, a batch with one row of padding."""

  def __init__(self):
    rng = np.random.default_rng(3)
    self.x = rng.uniform(size=(B, 2, 2, 1))
    self.x_adv = self.x + rng.uniform(-0.2, 0.2, self.x.shape)
    self.y = np.array([0, 1, 2, 3, 4, 0])
    self.mask = np.array([1.0, 1, 1, 1, 1, 0])
    self.w = rng.normal(size=(D, C))
    self.clean, self.robust = rng.normal(size=(2, D, C))

  def teachers(self):
    def teacher(weights):
      return lambda x, t=1.0: x.reshape(len(x), -1) @ jnp.asarray(weights) / t

    made = {'clean': teacher(self.clean), 'robust': teacher(self.robust)}
    return {**made, 'all': made['robust']}

  def batch(self, epoch=0):
    return {
      'image': jnp.asarray(self.x),
      'label': jnp.asarray(self.y),
      'mask': jnp.asarray(self.mask),
      'epoch': jnp.int32(epoch),
    }

  def logits(self, weights, images):
    return images.reshape(len(images), -1) @ weights

  def probs(self, weights, images, t=1.0):
    return softmax(self.logits(weights, images) / t)

  def mean(self, values):
    return (values * self.mask).sum() / self.mask.sum()

  def p_y(self, probs):
    return probs[np.arange(B), self.y]

  def ce(self, probs):
    return -np.log(self.p_y(probs))


def slope(oracle, weights, step=1e-6):
  """Central differences of a function of the student's weights."""
  found = np.zeros_like(weights)
  for place in np.ndindex(*weights.shape):
    up, down = weights.copy(), weights.copy()
    up[place] += step
    down[place] -= step
    found[place] = (oracle(up) - oracle(down)) / (2 * step)
  return found
