"""FFGSM: fast adversarial training in 15 epochs (Wong et al.), on raw images.

Run:       python launch/main.py --config=configs/ffgsm.py:cifar10 --workdir=runs/ffgsm
Words:     data, student, en, at_plus, smoke; see `setting.py`
Collapse:  --config.select.max_drop=0.2 stops when robust accuracy falls by a fifth
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='ffgsm'),
    attack=dict(steps=1, step_size=10 / 255, start='uniform', bn='train'),
    epochs=15,
    schedule=dict(name='triangular', peak=0.2),
    optimizer=dict(weight_decay=5e-4),
  )
  return SETTING.experiment(SETTING.choose(arg), recipe)
