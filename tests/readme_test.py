"""The README's code runs as printed, and its commands name files that exist."""

import pathlib
import re

import jax
import jax.numpy as jnp
from absl.testing import absltest

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / 'README.md').read_text()


class ReadmeTest(absltest.TestCase):
  def test_code(self):
    images = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
    weights = jax.random.normal(jax.random.key(1), (64, 3))
    names = {
      'images': images,
      'labels': jnp.array([0, 1, 2, 0]),
      'logits_fn': lambda x: x.reshape(len(x), -1) @ weights,
      'my_loss': lambda x: x.sum((1, 2, 3)),
    }
    blocks = re.findall(r'```python\n(.*?)```', TEXT, re.S)
    self.assertLen(blocks, 2)
    exec(blocks[0], names)
    self.assertBetween(float(names['robust']), 0, 1)
    exec(blocks[1], names)
    self.assertTrue(bool(jnp.all(names['adversarial'] >= images)))

  def test_paths(self):
    found = re.findall(r'(?:configs|launch|benchmarks|tests|jaxrkd)/[\w/]*\.py', TEXT)
    self.assertGreater(len(found), 5)
    for path in found:
      self.assertTrue((ROOT / path).is_file(), path)


if __name__ == '__main__':
  absltest.main()
