"""B-MTARD: MTARD whose teachers' temperatures move until both are equally certain.

Zhao et al., Mitigating Accuracy-Robustness Trade-off via Balanced Multi-Teacher
Adversarial Distillation, TPAMI 2024; defaults are those of its released code.
"""

import jax
import jax.numpy as jnp

from jaxrkd.errors import in_range
from jaxrkd.methods import anl as balance
from jaxrkd.methods import inner
from jaxrkd.methods.base import Batch, Method, Terms, Tree, batch_mean, forward_both
from jaxrkd.methods.divergence import Divergence

NAMES = ('adv', 'nat')
TEACHERS = {'adv': 'robust', 'nat': 'clean'}


def b_mtard(
  anl_rate: float = 0.025,
  tau_rate: float = 0.001,
  tau_min: float = 1.0,
  tau_max: float = 10.0,
  tau_adv: float = 1.0,
  tau_nat: float = 1.0,
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 0.1,
  kl_epsilon: float = 1e-5,
) -> Method:
  """w_adv KL(T_adv(x') / tau_adv || S(x')) + w_nat KL(T_nat(x) / tau_nat || S(x)).

  x' raises CE(S(x'), y). The weights move as MTARD's. After each step the temperature of
  the teacher whose answers have less entropy rises by tau_rate, and the other's falls; both
  rates fall with the learning rate. The student has temperature 1.

  Args:
    anl_rate: r_w of the weights.
    tau_rate: step of the temperatures.
    tau_min: their lower end.
    tau_max: their upper end.
    tau_adv: temperature of the robust teacher at the start.
    tau_nat: temperature of the clean teacher at the start.
    kl_reduction: 'batch_mean' sums over classes, 'element_mean' divides by their number.
    kl_scale: factor on both terms. The code's element mean is 0.1 times the batch mean on
      CIFAR-10; MTARD's factor of 10 on CIFAR-100 makes it so there, too.
    kl_epsilon: added inside log p of the teacher, as the code does.
  """
  in_range(anl_rate, 0, 1, 'method.anl_rate')
  in_range(tau_rate, 0, float('inf'), 'method.tau_rate')
  in_range(tau_max, 1e-3, float('inf'), 'method.tau_max')
  for name, value in (('tau_min', tau_min), ('tau_adv', tau_adv), ('tau_nat', tau_nat)):
    in_range(value, 1e-3 if name == 'tau_min' else tau_min, tau_max, f'method.{name}')
  divergence = Divergence(kl_reduction, kl_scale, kl_epsilon)

  def terms(student, stats, teachers, batch, adversarial):
    images = {'adv': adversarial, 'nat': batch['image']}
    logits, stats = forward_both(student, stats, images, 'adv_nat')
    found = {}
    for name in NAMES:
      tau = batch['memory']['tau'][name]
      target = teachers[TEACHERS[name]](images[name], tau)
      found[name] = divergence(target, logits[name], batch)
      probs = jax.nn.softmax(target)
      # Element mean of p log p: more negative for the flatter answer.
      order = jnp.mean(probs * jnp.log(probs + 1e-5), axis=-1)
      found[f'order_{name}'] = batch_mean(order, batch)
    return found, stats

  def observe(memory: Tree, terms: Terms, batch: Batch) -> Tree:
    two = {name: terms[name] for name in NAMES}
    seen = balance.observe(memory['anl'], two, batch, anl_ema=0.0, anl_init='batch')
    ratio = terms['order_adv'] / terms['order_nat']
    moves = {'adv': jnp.sign(ratio - 1), 'nat': jnp.sign(1 / ratio - 1)}
    tau = {
      name: jnp.clip(
        memory['tau'][name] - tau_rate * batch['rate'] * moves[name], tau_min, tau_max
      )
      for name in NAMES
    }
    return {'anl': seen, 'tau': tau}

  def total(found: Terms, weights: Tree) -> jax.Array:
    return weights['adv'] * found['adv'] + weights['nat'] * found['nat']

  def report(weights: Tree, memory: Tree, terms: Terms) -> Terms:
    two = {name: terms[name] for name in NAMES}
    taus = {f'tau_{name}': value for name, value in memory['tau'].items()}
    return {**balance.report(weights, memory['anl'], two), **taus}

  start = {'adv': jnp.asarray(tau_adv), 'nat': jnp.asarray(tau_nat)}
  return Method(
    teachers=('clean', 'robust'),
    inner=inner.ce(),
    terms=terms,
    total=total,
    weights={'adv': 0.5, 'nat': 0.5},
    weight_rate=anl_rate,
    weight_rate_decays=True,
    weight_gradient=lambda weights, memory, terms: balance.gradient(
      weights, memory['anl'], beta=1.0
    ),
    memory={'anl': balance.initial_memory(NAMES), 'tau': start},
    observe=observe,
    report=report,
  )
