"""The nonlinearities that networks may have."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxrkd.errors import choose

Activation = Callable[[jax.Array], jax.Array]


@jax.custom_jvp
def relu(x: jax.Array) -> jax.Array:
  """max(x, 0), whose gradient reads the result; as PyTorch's it is 0 at 0, passed on at NaN.

  `jax.nn.relu` asks whether x > 0: then a convolution's result must be written out for the
  backward pass, and cuDNN, which can shift, add and cut off where it convolves, only
  convolves. `benchmarks/traffic.py` counts what that moves.
  """
  return jnp.maximum(x, 0)


# Not `result > 0`, which XLA would turn back into x > 0.
relu.defjvps(
  lambda slope, result, x: lax.select(result == 0, lax.full_like(slope, 0), slope)
)

# As PyTorch computes them: swish is its SiLU, gelu the exact one.
ACTIVATIONS: dict[str, Activation] = {
  'relu': relu,
  'swish': jax.nn.silu,
  'gelu': lambda x: jax.nn.gelu(x, approximate=False),
  'elu': jax.nn.elu,
  # Not the smaller of two, whose gradient at 6 is a half; what is no number stays so.
  'relu6': lambda x: jnp.where(x >= 6, jnp.asarray(6, x.dtype), relu(x)),
}


def activation_of(name: str) -> Activation:
  """A row of `ACTIVATIONS`; raises `InputError` for any other name."""
  return choose(ACTIVATIONS, name, 'activation')
