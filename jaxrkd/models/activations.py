"""The nonlinearities that networks may have."""

from collections.abc import Callable

import jax

from jaxrkd.errors import choose

Activation = Callable[[jax.Array], jax.Array]

# As PyTorch computes them: swish is its SiLU, gelu the exact one.
ACTIVATIONS: dict[str, Activation] = {
  'relu': jax.nn.relu,
  'swish': jax.nn.silu,
  'gelu': lambda x: jax.nn.gelu(x, approximate=False),
  'elu': jax.nn.elu,
}


def activation_of(name: str) -> Activation:
  """A row of `ACTIVATIONS`; raises `InputError` for any other name."""
  return choose(ACTIVATIONS, name, 'activation')
