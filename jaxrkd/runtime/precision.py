"""How many digits of a float32 number devices multiply."""

import contextlib

import jax


def float32_products() -> contextlib.AbstractContextManager[None]:
  """A scope in which products and convolutions of float32 numbers use all their digits.

  By themselves NVIDIA GPUs round what they multiply to TF32 (10 bits) and TPUs to bfloat16
  (7), which moves logits by up to a percent: enough to break an image that the network
  withstands, or to tell a converted network from its original. It counts where functions
  are traced; on CPU it changes nothing.
  """
  return jax.default_matmul_precision('highest')
