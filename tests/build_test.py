"""Configs: defaults, overrides, and a clear sentence for every mistake."""

import json
import pathlib
from unittest import mock

import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.amalgamation import AMALGAMATIONS, AVERAGES
from jaxrkd.attacks import ATTACKS, SEARCHES, UNFORESEEN
from jaxrkd.data import SOURCES
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.interop import RECIPES
from jaxrkd.methods import INNERS, METHODS
from jaxrkd.models import NETWORKS
from jaxrkd.models.named import named_network, network_options
from jaxrkd.optimizers import OPTIMIZERS, SCHEDULES

CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'
EXPERIMENTS = [
  *(
    f'{method}:{words}'
    for method in METHODS
    if not METHODS[method]().group
    for words in (
      'cifar10',
      'cifar100',
      'cifar10,mobilenet_v2',
      'cifar100,mobilenet_v2',
      'cifar10,wrn_34_10',
      'cifar10,en',
      'cifar100,at_plus,wrn_28_10',
      'cifar10,smoke',
      'digits',
      'digits,smoke',
      'digits,en',
    )
  ),
  *(
    f'mtard_{data}{arg}'
    for data in ('digits', 'cifar10', 'cifar100')
    for arg in ('', ':smoke')
  ),
  *(
    f'akd:{words}'
    for words in (
      'std',
      'ffgsm,eps2',
      'pgd7,eps16,en',
      'mix',
      'maximising,raw',
      'plain,rslad',
    )
  ),
  'mmard:cut',
  'lbgat:lbgat0',
  'adr:trades',
  *(
    f'{method}:{words}'
    for method in ('peeraid', 'lbgat')
    for words in (
      '',
      'cifar100,mobilenet_v2',
      'wrn_34_10',
      'smoke',
      'digits',
      'digits,smoke',
    )
  ),
  *(
    f'at_aka:{words}'
    for words in (
      '',
      'cifar100,mobilenet_v2,pareto,n4',
      'naive,n1,pgd',
      'linear,n2,coupled,own_pgd',
      'smoke',
      'digits,particles',
      'digits,smoke',
    )
  ),
  *(
    f'cat_aka:{words}'
    for words in (
      '',
      'cifar100,wrn_34_10,linear',
      'naive,n4,pgd',
      'smoke,fog',
      'digits,coupled',
    )
  ),
  *(
    f'{method}:{words}'
    for method in ('sat', 'mtard', 'at_aka', 'cat_aka', 'hat')
    for words in ('svhn', 'gtsrb', 'tiny_imagenet', 'svhn,smoke')
  ),
  *(
    f'teachers/other_sets:{words}'
    for words in ('', 'gtsrb,clean', 'tiny_imagenet,robust', 'svhn,clean,smoke')
  ),
  *(f'rslad:en,{rule}' for rule in ('naive', 'linear', 'soft', 'digits,pareto')),
  *(f'teachers/digits:{kind}' for kind in ('clean', 'robust')),
  *(
    f'teachers/cifar:{data},{kind}'
    for data in ('cifar10', 'cifar100')
    for kind in ('clean', 'robust')
  ),
  *(f'teachers/mmard:{name}' for name in ('resnet18', 'wrn_34_20', 'wrn_70_16,smoke')),
  *(f'teachers/at_plus:{data}' for data in ('cifar10', 'cifar100', 'smoke')),
  *(f'teachers/akd:{kind}' for kind in ('', 'std', 'ffgsm,eps16', 'pgd7,cifar100,smoke')),
]


def config_of(spec, overrides=()):
  name, _, argument = spec.partition(':')
  return experiment.resolve(
    configs.load(CONFIGS / f'{name}.py', argument), list(overrides)
  )


class OtherSetsTest(absltest.TestCase):
  def test_their_own_protocol(self):
    for name, flips, peak in (
      ('svhn', False, 0.01),
      ('gtsrb', False, 0.1),
      ('tiny_imagenet', True, 0.1),
    ):
      config = config_of(f'mtard:{name}', ['data.path=/somewhere'])
      teachers = config.teachers
      for made in (config, teachers.clean.config, teachers.robust.config):
        self.assertEqual(made.augment.flip, flips)
        self.assertLessEqual(made.schedule.peak, peak)
        self.assertEqual(made.select.split, 'heldout')
        self.assertEqual(made.data.path, '/somewhere')
        self.assertGreater(made.data.heldout, 0)
      self.assertEqual(teachers.robust.config.student.normalisation, name)
    with self.assertRaisesRegex(InputError, "'svhn' cannot be used here: its teachers"):
      config_of('akd:svhn')


class ColumnsTest(absltest.TestCase):
  def test_short_names(self):
    config = experiment.resolve(
      tiny.config('mtard', evaluation__threat=dict(name='linf', eps=0.2))
    )
    found = experiment.columns(
      ['pgd_40', 'square_100', 'cw_inf', 'fgsm@robust', 'svgd'], config
    )
    self.assertEqual(found['pgd_40'], {'name': 'pgd', 'steps': 40})
    self.assertEqual(
      found['square_100'], {'name': 'square', 'queries': 100, 'rescale': True}
    )
    self.assertEqual(found['cw_inf']['steps'], 4)  # as the config has it
    self.assertEqual(found['fgsm_from_robust']['surrogate'], 'robust')
    self.assertEqual(found['svgd'], {'name': 'svgd'})
    with self.assertRaisesRegex(InputError, 'two columns with the name .pgd_7_from_x'):
      experiment.columns(['pgd_7@a/x', 'pgd_7@b/x'], config)

  def test_a_transfer_column_stays_one(self):
    made = tiny.config('mtard')
    made.evaluation.attacks.t = dict(name='fgsm', surrogate='robust')
    config = experiment.resolve(made)
    self.assertEqual(experiment.columns(['t'], config)['t']['surrogate'], 'robust')


class PluginTest(parameterized.TestCase):
  """Rows that come after everything was imported, as those of --plugins do."""

  def test_rows_of_every_table(self):
    tables = {
      'method.name': (METHODS, METHODS['sat']),
      'inner.name': (INNERS, INNERS['ce']),
      'student.name': (NETWORKS, NETWORKS['convnet']),
      'optimizer.name': (OPTIMIZERS, OPTIMIZERS['sgd']),
      'schedule.name': (SCHEDULES, SCHEDULES['cosine']),
      'attack.name': (SEARCHES, SEARCHES['pgd']),
      'evaluation.attacks.ball.name': (ATTACKS, ATTACKS['fgsm']),
      'evaluation.attacks.free.name': (UNFORESEEN, UNFORESEEN['fog']),
      'ensemble.name': (AMALGAMATIONS, AMALGAMATIONS['naive']),
    }
    for table, row in tables.values():
      name = 'own_free' if table is UNFORESEEN else 'own_row'
      self.enterContext(mock.patch.dict(table, {name: row}))
    teachers = [('r1', 'robust'), ('r2', 'robust')]
    given = [f'{key}=own_row' for key in tables if not key.startswith(('met', 'ens'))]
    given = [text.replace('free.name=own_row', 'free.name=own_free') for text in given]
    config = experiment.resolve(tiny.config('rslad', teachers), given)
    run = tiny.Run(config)
    self.assertTrue(run.steps(run.setup.init(), 1)[1][0]['loss'])
    self.assertLen(experiment.evaluation_attacks(config), 4)
    for key in ('method.name', 'ensemble.name'):
      found = experiment.resolve(tiny.config('rslad', teachers), [f'{key}=own_row'])
      self.assertEqual(configs.leaf(found, key), 'own_row')
    self.enterContext(mock.patch.dict(AVERAGES, {'own_average': AVERAGES['logits']}))
    experiment.resolve(tiny.config('rslad', teachers), ['ensemble.name=own_average'])
    self.enterContext(mock.patch.dict(SOURCES, {'own_data': SOURCES['synthetic']}))
    self.assertEqual(
      experiment.resolve(tiny.config('sat'), ['data.name=own_data']).data.name, 'own_data'
    )

  @parameterized.parameters(
    'method',
    'inner',
    'student',
    'optimizer',
    'schedule',
    'attack',
    'evaluation.attacks.a',
    'ensemble',
    'data',
  )
  def test_an_unknown_name_says_how_to_bring_ones_own(self, group):
    with self.assertRaisesRegex(InputError, 'one of your own comes with --plugins=FILE'):
      experiment.resolve(tiny.config('sat'), [f'{group}.name=nothing_like_it'])

  @parameterized.parameters(
    ('method', lambda *, scale: METHODS['sat'](), 'missing a required argument: .scale'),
    ('method', lambda scale=1.0: None, 'returned NoneType, and must return Method'),
    ('inner', lambda: METHODS['sat'](), 'returned Method, and must return .*Inner'),
    ('student', lambda layers, classes: None, 'a row takes 3 arguments in order'),
    (
      'student',
      lambda layers, classes, channels: None,
      'NoneType, and must return Module',
    ),
    ('optimizer', lambda schedule: 0.1, 'float, and must return GradientTransformation'),
    ('schedule', lambda epochs: None, 'a row takes 2 arguments in order'),
    ('attack', lambda threat: None, 'NoneType, and must return Search'),
    ('evaluation.attacks.a', lambda threat: None, 'NoneType, and must return Callable'),
    ('data', lambda: None, 'NoneType, and must return two splits'),
  )
  def test_a_row_that_is_none(self, group, row, message):
    table = {
      'method': METHODS,
      'inner': INNERS,
      'student': NETWORKS,
      'optimizer': OPTIMIZERS,
      'schedule': SCHEDULES,
      'attack': SEARCHES,
      'evaluation.attacks.a': ATTACKS,
      'data': SOURCES,
    }[group]
    self.enterContext(mock.patch.dict(table, {'own_row': row}))
    with self.assertRaisesRegex(InputError, f"'own_row' .*{message}"):
      config = experiment.resolve(tiny.config('sat'), [f'{group}.name=own_row'])
      tiny.Run(config).setup.init()

  def test_a_text_where_a_number_belongs(self):
    for group, given in (
      ('method', dict(name='trades', beta='much')),
      ('data', dict(name='synthetic', train='all')),
      ('select', dict(attack=dict(name='pgd', restarts=(1, 2)))),
      ('optimizer', dict(name='sgd', nesterov='yes')),
    ):
      config = tiny.config('sat').to_dict()
      config[group] = given
      with self.assertRaisesRegex(
        InputError, f'{group}.*is .* and takes (a number|true)'
      ):
        experiment.resolve(configs.ConfigDict(config))


class ShippedConfigsTest(parameterized.TestCase):
  def test_resolve_and_survive_json(self):
    for spec in EXPERIMENTS:
      config = config_of(spec)
      again = experiment.resolve(configs.ConfigDict(json.loads(config.to_json())))
      self.assertEqual(json.loads(again.to_json()), json.loads(config.to_json()), spec)

  def test_teachers_know_what_the_papers_report(self):
    """The same numbers where a public file stands for a config."""
    for spec, recipe in (
      ('teachers/cifar:cifar10', 'trades_wrn_34_10'),
      ('teachers/cifar:cifar10,clean', 'mtard_resnet56'),
      ('teachers/cifar:cifar100', 'deepmind_cifar100_wrn_70_16_without'),
      ('teachers/cifar:cifar100,clean', 'mtard_wrn_22_6'),
    ):
      config, known = config_of(spec), RECIPES[recipe]
      self.assertEqual(config.expected.to_dict(), known.expected)
      node = network_options(known.network)
      self.assertEqual(config.student.to_dict(), node)
    for spec, clean, autoattack in (
      ('teachers/mmard:wrn_34_20', 88.70, 53.26),
      ('teachers/at_plus:cifar100', 61.98, 29.58),
      ('teachers/akd:cifar10,pgd7', 84.22, 46.99),
    ):
      expected = config_of(spec).expected
      self.assertEqual((expected.clean, expected.autoattack), (clean, autoattack))

  def test_every_file_is_listed_here(self):
    listed = {spec.partition(':')[0] for spec in EXPERIMENTS}
    files = {str(p.relative_to(CONFIGS))[:-3] for p in CONFIGS.rglob('*.py')}
    studies = {name for name in files if name.startswith('studies/')}
    self.assertEqual(files, {*listed, *studies, 'setting'})

  def test_rows_for_compare(self):
    rows = configs.load_rows(CONFIGS / 'studies' / 'aka_digits.py')
    made = {
      row: experiment.resolve(configs.load_spec(spec)) for row, spec in rows.items()
    }
    self.assertGreater(len(made), 1)
    self.assertLen({config.to_json() for config in made.values()}, len(made))
    with self.assertRaisesRegex(InputError, 'jaxrkd study --name=ataka_table2'):
      configs.load_rows(CONFIGS / 'studies' / 'ataka_table2.py')

  @parameterized.parameters(
    # method:words, attack (start, BN, steps), epochs, batch, weight decay
    ('sat', ('uniform', 'eval', 10), 200, 128, 2e-4),
    ('ffgsm', ('uniform', 'train', 1), 15, 128, 5e-4),
    ('trades', ('gauss', 'eval', 10), 120, 128, 2e-4),
    ('mart', ('gauss', 'eval', 10), 120, 128, 3.5e-3),
    ('mart:wrn_34_10', ('gauss', 'eval', 10), 90, 128, 7e-4),
    ('ard', ('uniform_noclamp', 'train', 10), 200, 128, 2e-4),
    ('ard:cifar100', ('uniform_noclamp', 'train', 10), 200, 256, 2e-4),
    ('iad_1', ('uniform_noclamp', 'train', 10), 200, 128, 2e-4),
    ('iad_2', ('uniform_noclamp', 'train', 10), 200, 128, 2e-4),
    ('rslad', ('gauss', 'eval', 10), 300, 128, 2e-4),
    ('adaad', ('gauss', 'eval', 10), 200, 128, 5e-4),
    ('mmard', ('gauss', 'eval', 10), 300, 128, 2e-4),
    ('akd', ('uniform', 'eval', 7), 50, 256, 5e-4),
    ('at_aka', ('uniform', 'eval', 20), 300, 128, 2e-4),
    ('cat_aka', ('uniform', 'eval', 20), 120, 128, 3.5e-3),
    ('cat_aka:wrn_34_10', ('uniform', 'eval', 20), 120, 128, 7e-4),
    ('sat:table4,en,fog', ('uniform', 'eval', 10), 120, 128, 3.5e-3),
    ('trades:table4,wrn_34_10', ('gauss', 'eval', 10), 120, 128, 7e-4),
    ('mart:table4,wrn_34_10', ('gauss', 'eval', 10), 120, 128, 7e-4),
  )
  def test_recipes_of_the_authors(self, spec, attack, epochs, batch, decay):
    config = config_of(spec)
    found = config.attack
    self.assertEqual((found.start, found.bn, found.steps), attack)
    self.assertEqual((config.epochs, config.batch_size), (epochs, batch))
    self.assertEqual(config.optimizer.weight_decay, decay)
    own = spec.split(':')[0] in ('trades', 'mart')
    self.assertAlmostEqual(config.threat.eps, 0.031 if own else 8 / 255)

  @parameterized.parameters(
    # spec, last update at the first rate (1-based epoch), epoch of the first lower one
    ('natural', 75, 76),
    ('sat', 99, 100),
    ('trades', 74, 75),
    ('ard', 100, 101),
    ('iad_1', 100, 101),
    ('rslad', 215, 216),
    ('adaad', 100, 101),
    ('at_aka', 200, 201),
    ('cat_aka:wrn_34_10', 75, 76),
  )
  def test_first_epoch_at_the_lower_rate(self, spec, last, first):
    config = config_of(spec)
    rate = experiment.schedule(config, 10).rate
    self.assertAlmostEqual(float(rate(10 * last - 1)), 0.1, places=6)
    self.assertAlmostEqual(float(rate(10 * (first - 1))), 0.01, places=6)

  def test_words(self):
    config = config_of('rslad:cifar10,en')
    self.assertEqual([e.config.seed for e in config.teachers.values()], [0, 1, 2])
    self.assertEqual(config_of('sat:cifar10,en').members, 3)
    config = config_of('akd:std,maximising')
    self.assertEqual((config.method.alpha, config.teachers.std.epoch), (0.6, 20))
    for words, want in (
      ('pgd7', (0.5, 20)),
      ('pgd7,maximising', (0.75, 30)),
      ('eps2,maximising', (0.6, 20)),
      ('eps16,maximising', (0.75, 30)),
      ('ffgsm,maximising', (0.75, 30)),
      ('plain', (1.0, 0)),
      ('rslad', (0.5, 30)),
      ('rslad,std', (0.5, 20)),
    ):
      config = config_of(f'akd:{words}')
      (teacher,) = config.teachers.values()
      self.assertEqual((config.method.alpha, teacher.epoch), want, words)
    self.assertLen(config_of('akd:mix,en').teachers, 4)
    config = config_of('ard:cifar100,table6')
    found = (config.inner.name, config.attack.bn, config.epochs, config.schedule.name)
    self.assertEqual(found, ('kl_teacher_adv', 'eval', 300, 'cosine'))
    config = config_of('akd:rslad,en')
    self.assertEqual(
      (config.attack.start, config.method.attack_target), ('gauss', 'pgd7_0')
    )
    config = config_of('akd:pgd7,eps16')
    teacher = config.teachers.pgd7.config
    self.assertAlmostEqual(teacher.threat.eps, 16 / 255)
    self.assertIn('7 steps of 4/255', experiment.attack_in_words(teacher))
    self.assertAlmostEqual(config.threat.eps, 8 / 255)
    config = config_of('trades:at_plus,wrn_28_10')
    self.assertEqual((config.method.variant, config.attack.name), ('deepmind', 'adam'))
    self.assertEqual((config.ema.decay, config.student.bn_momentum), (0.995, 0.99))
    self.assertEqual(config_of('mmard:cut').schedule_len, 300)
    for spec, message in (
      ('sat:digits,cifar10', "both 'cifar10' and 'digits'"),
      ('sat:digits,mobilenet_v2', "'mobilenet_v2' cannot be used here"),
      ('rslad:digits,at_plus', "'at_plus' cannot be used here"),
      ('akd:digits,std', "'std' cannot be used here: it is for CIFAR"),
      ('akd:mix,ffgsm', "'ffgsm' cannot be used here"),
      ('akd:std,eps16', "'eps16' cannot be used here"),
      ('akd:akd,rslad', "both 'akd' and 'rslad'"),
      ('mmard:digits,cut', "'cut' cannot be used here"),
      ('teachers/cifar:en', "unknown config argument 'en'"),
    ):
      with self.assertRaisesRegex(InputError, message):
        config_of(spec)

  def test_mtard_settings_of_the_paper(self):
    for data, teachers in (
      ('cifar10', ('resnet56', 'wrn_34_10')),
      ('cifar100', ('dm_wrn_22_6', 'dm_wrn_70_16')),
    ):
      config = config_of(f'mtard_{data}')
      found = tuple(config.teachers[n].config.student.name for n in ('clean', 'robust'))
      self.assertEqual(found, teachers)
      self.assertEqual((config.epochs, config.batch_size), (300, 128))
      self.assertEqual(config.schedule.milestones, (215, 260, 285))
      self.assertEqual((config.attack.steps, config.attack.start), (10, 'gauss'))
      self.assertIn('10 steps of 2/255', experiment.attack_in_words(config))
      self.assertAlmostEqual(config.threat.eps, 8 / 255)
      self.assertEqual(config.method.anl_rate, 0.025)
      self.assertEqual(config.optimizer.weight_decay, 2e-4)
      self.assertEqual((config.select.split, config.select.metric), ('test', 'weighted'))

  def test_argument_mistake(self):
    with self.assertRaisesRegex(InputError, "'mobilenet'; did you mean 'mobilenet_v2'"):
      config_of('mtard_cifar10:mobilenet')


class OverrideTest(parameterized.TestCase):
  @parameterized.parameters(
    ('epochs=3', lambda c: c.epochs, 3),
    ('threat.eps=4/255', lambda c: c.threat.eps, 4 / 255),
    ('drop_last=true', lambda c: c.drop_last, True),
    ('student.widths=2,3', lambda c: c.student.widths, (2, 3)),
    ('student.mean=1/2', lambda c: c.student.mean, (0.5,)),
    ('method.kl_scale=1', lambda c: c.method.kl_scale, 1.0),
    ('teachers.clean.config.epochs=7', lambda c: c.teachers.clean.config.epochs, 7),
    ('data.heldout=5', lambda c: c.teachers.robust.config.data.heldout, 5),
    ('schedule.name=cosine', lambda c: c.schedule.unit, 'epoch'),
    ('student.name=resnet8', lambda c: c.student.depth, 8),
    ('student=resnet8', lambda c: c.student.depth, 8),
    ('teachers.more.workdir=run', lambda c: c.teachers.more.kind, 'robust'),
    ('evaluation.attacks.new.name=pgd', lambda c: c.evaluation.attacks.new.steps, 20),
    ('inner=mixed_target', lambda c: c.inner.alpha, 0.5),
    (
      'teachers.clean.config.schedule=cosine',
      lambda c: c.teachers.clean.config.schedule.unit,
      'epoch',
    ),
  )
  def test_values(self, text, read, want):
    self.assertEqual(read(experiment.resolve(tiny.config(), [text])), want)

  def test_another_method_takes_its_own_options(self):
    config = experiment.resolve(tiny.config(), ['method.name=trades', 'method.beta=3'])
    self.assertEqual(config.method.to_dict()['beta'], 3.0)
    self.assertNotIn('anl_rate', config.method)

  def test_every_method_and_option_is_accepted_by_its_factory(self):
    for name in METHODS:
      experiment.method(experiment.resolve(tiny.config(name)))

  @parameterized.parameters(
    ('epocs=3', "'epocs'; did you mean 'epochs'"),
    # What others call it.
    ('optimizer.lr=0.1', "did you mean 'schedule.peak'"),
    ('learning_rate=0.1', "did you mean 'schedule.peak'"),
    (
      'teachers.clean.config.optimizer.lr=1',
      "mean 'teachers.clean.config.schedule.peak'",
    ),
    ('wd=1e-4', "did you mean 'optimizer.weight_decay'"),
    ('attack.epsilon=0.1', "did you mean 'threat.eps'"),
    ('evaluation.epsilon=0.1', "did you mean 'evaluation.threat.eps'"),
    ('evaluation.attacks.cw_inf.iterations=5', "mean 'evaluation.attacks.cw_inf.steps'"),
    ('attack.num-steps=5', "did you mean 'attack.steps'"),
    ('evaluation.attacks.cw_inf.alpha=0.1', "mean 'evaluation.attacks.cw_inf.step_size'"),
    ('dataset=svhn', "did you mean 'data.name'"),
    ('method.kl_scal=3', "did you mean 'method.kl_scale'"),
    ('method.name=mtrad', "method.name 'mtrad'; did you mean 'mtard'"),
    ('student.name=resnet19', "did you mean 'resnet"),
    ('data.name=cifar11', "did you mean 'cifar10'|did you mean 'cifar100'"),
    ('threat.eps=8', 'eps is 8.0.*8/255'),
    ('attack.step_size=2', 'step_size is 2.0.*2/255'),
    ('epochs=many', "takes a int, not 'many'|epochs is 2 and takes"),
    ('epochs=0', 'epochs is 0; it must be at least 1'),
    ('drop_last=perhaps', 'true or false'),
    ('precision=float16', 'known: bfloat16, float32'),
    ('attack.bn=off', "'eval', 'batch', 'train'"),
    ('select.metric=best', "'weighted', 'robust', 'clean'"),
    ('select.split=validation', "'heldout', 'test'"),
    ('data.heldout=0', 'select.split is heldout, but config.data.heldout is 0'),
    ('teachers.clean.config.data.heldout=3', 'trained on other data .heldout was 16'),
    ('optimizer.momentum=2', 'momentum is 2.0'),
    ('ema.decay=1', 'ema.decay is 1.0'),
    ('augment.pad=-1', 'augment.pad is -1'),
    ('select.every=0', 'select.every is 0'),
    ('evaluation.batch_size=0', 'evaluation.batch_size is 0'),
    ('ema=3', 'is a group'),
    ('method=trade', "unknown method.name 'trade'; did you mean 'trades'"),
    ('teachers.clean.config.method=trade', "did you mean 'trades'"),
    ('epochs', 'has no value'),
    ('teachers.clean.checkpoint=newest', "'best', 'last', 'ema'"),
    ('keep_epochs=abc', "keep_epochs names epoch 'abc'"),
    ('schedule.milestones=abc', "milestones has 'abc'"),
    ('method.anl_beta=-1', 'anl_beta is -1.0'),
    ('method.kl_scale=inf', 'kl_scale is inf'),
    ('nothing.name=x', "unknown config key 'nothing.name'"),
  )
  def test_mistakes(self, text, message):
    with self.assertRaisesRegex(InputError, message) as caught:
      experiment.resolve(tiny.config(), [text])
    self.assertNotIn('\n', str(caught.exception))

  def test_a_finished_teacher_cannot_be_trained_otherwise(self):
    with self.assertRaisesRegex(InputError, "comes from 'run'; give its workdir or its"):
      experiment.resolve(
        tiny.config(), ['teachers.clean.workdir=run', 'teachers.clean.config.epochs=9']
      )

  def test_a_config_without_argument(self):
    path = tiny.folder(self) / 'plain.py'
    path.write_text(
      'from jaxrkd.experiment.config_files import base\ndef get_config():\n  return base()\n'
    )
    self.assertEqual(configs.load(path).epochs, 1)
    with self.assertRaisesRegex(InputError, "takes no argument, not 'smoke'"):
      configs.load(path, 'smoke')

  def test_what_a_config_file_raises_is_one_sentence_with_its_line(self):
    path = tiny.folder(self) / 'faulty.py'
    for text, message in (
      ('def get_config():\n  return 1 / 0\n', 'line 2: ZeroDivisionError: division'),
      ('import nothing_like_it\n', 'line 1: ModuleNotFoundError'),
      ('def get_config(:\n', 'line 1: SyntaxError'),
      ("raise ValueError('two\\nlines')\n", 'line 1: ValueError: two lines$'),
    ):
      path.write_text(text)
      with self.assertRaisesRegex(InputError, f"config file '.*faulty.py', {message}"):
        configs.load(path)

  def test_mistakes_in_a_config_file(self):
    config = tiny.config()
    config.bacth_size = 3
    with self.assertRaisesRegex(InputError, "did you mean 'batch_size'"):
      experiment.resolve(config)
    config = tiny.config()
    config.optimizer.lr = 0.1
    with self.assertRaisesRegex(InputError, "did you mean 'schedule.peak'"):
      experiment.resolve(config)
    config = tiny.config()
    config.method = dict(name='trades', betta=3)
    with self.assertRaisesRegex(
      InputError, "no option method.betta; did you mean 'beta'"
    ):
      experiment.resolve(config)

  def test_missing_teachers(self):
    config = tiny.config()
    del config.teachers['robust']
    with self.assertRaisesRegex(InputError, 'needs a robust teacher'):
      experiment.resolve(config)
    config = tiny.config()
    config.teachers.robust = configs.teacher()
    with self.assertRaisesRegex(InputError, 'neither a workdir nor a file nor a config'):
      experiment.resolve(config)

  def test_missing_file(self):
    with self.assertRaisesRegex(InputError, "did you mean '.*mtard_digits.py'"):
      configs.load(CONFIGS / 'mtrad_digits.py')


class NetworkOptionsTest(absltest.TestCase):
  def test_normalisation_needs_a_value_per_channel(self):
    config = experiment.resolve(
      tiny.config(), ['student.mean=0.5,0.5', 'student.std=1,1']
    )
    with self.assertRaisesRegex(InputError, 'images of 3 channels'):
      named_network(config.student, 10, (8, 8, 3))

  def test_same_request_same_network(self):
    config = experiment.resolve(tiny.config())
    self.assertIs(
      named_network(config.student, 3, (8, 8, 1)),
      named_network(config.student, 3, (8, 8, 1)),
    )


if __name__ == '__main__':
  absltest.main()
