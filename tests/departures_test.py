"""What tells a config from others, whatever keys newer versions have."""

import copy
import json
from unittest import mock

from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.departures import departures


def told(spec, *overrides):
  config = experiment.resolve(configs.load_spec(spec), list(overrides))
  return json.loads(config.to_json())


class DeparturesTest(parameterized.TestCase):
  @parameterized.parameters('mtard:digits', 'saad:cifar10', 'at_aka:digits')
  def test_every_value_tells(self, spec):
    whole = told(spec)
    same = departures(whole)
    unseen = []
    for key, _ in configs.leaves(whole):
      other = copy.deepcopy(whole)
      *groups, last = key.split('.')
      if last == 'name':
        continue  # Another row has other options.
      node = other
      for group in groups:
        node = node[group]
      node[last] = 'another value'
      if departures(other) == same:
        unseen.append(key)
    self.assertEmpty(unseen)

  def test_names_and_what_is_left_out_tell(self):
    whole = told('mtard:digits')
    for change in (
      lambda c: c['method'].update(name='rslad'),
      lambda c: c['teachers'].pop('clean'),
      lambda c: c['evaluation']['attacks'].pop('fgsm'),
      lambda c: c['teachers']['clean']['config']['student'].update(name='resnet18'),
    ):
      other = copy.deepcopy(whole)
      change(other)
      self.assertNotEqual(departures(other), departures(whole))

  def test_a_newer_version_has_more_keys(self):
    before = departures(told('mtard:digits'))
    values = configs.base_values

    def newer():
      made = values()
      made['invented'] = dict(gamma=0.0, steps=1)
      made['swa']['invented'] = True
      return made

    with mock.patch.object(configs, 'base_values', newer):
      self.assertEqual(departures(told('mtard:digits')), before)
      self.assertNotEqual(departures(told('mtard:digits', 'invented.gamma=1')), before)

  def test_defaults_need_not_be_said(self):
    self.assertEqual(
      departures(told('rslad:digits')),
      departures(told('rslad:digits', 'seed=0', 'swa.start=0')),
    )


if __name__ == '__main__':
  absltest.main()
