"""ADR on SAT or TRADES: the student's moving average softens its labels.

Run:       python launch/main.py --config=configs/adr.py:cifar10 --workdir=runs/adr
Words:     data, student, en, at_plus, smoke (`setting.py`), and sat (default) or trades
Measured:  the `ema` row, as the authors measure the average
Schedule:  SAT's; the authors' has not been read
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  bases = ('sat', 'trades')
  on = SETTING.choose(arg, bases)
  recipe = dict(
    method=dict(name='adr', base=configs.one_word(on.words, bases)),
    attack=dict(steps=10, start='uniform'),
    ema=dict(decay=0.995),
    epochs=200,
    schedule=dict(name='milestones', peak=0.1, milestones=(100, 150)),
    optimizer=dict(weight_decay=5e-4),
    select=dict(metric='robust', attack=dict(name='pgd', steps=10)),
  )
  return SETTING.experiment(on, recipe)
