"""`config.remat`: whole steps with and without, masked batches included, in float64."""

import jax
import numpy as np
import tiny
from absl.testing import absltest


class RematTest(absltest.TestCase):
  def test_steps_are_the_same(self):
    # Trains a student and a group of other networks, on images of their own.
    found = []
    with jax.enable_x64(True):
      for remat in (False, True):
        # 24 images in batches of 16: half of the last batch is padding.
        config = tiny.small_resnets('at_aka', remat=remat, data__train=40)
        run = tiny.Run(config)
        self.assertEqual(run.setup.steps_per_epoch, 2)
        state, rows = run.steps(run.setup.init(), 2)
        found.append((jax.tree.leaves(state.nets), [row['loss'] for row in rows]))
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)
    for a, b in zip(found[0][0], found[1][0], strict=True):
      np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


if __name__ == '__main__':
  absltest.main()
