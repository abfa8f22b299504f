"""Takes away one guard at a time, and names the test that notices.

Usage: python benchmarks/guards.py [--only=WORD] [--list]

Robust accuracy is an upper bound, so a guard that nobody would miss is a number that may be
too high. Each guard is a piece of code and what stands there without it; the tests that are
named run on a copy of the project. Ends with status 1 where a guard survives, or no longer
is where it was.
"""

import argparse
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HOME = pathlib.Path(__file__).resolve().parent.parent
COPIED = ('jaxrkd', 'configs', 'launch', 'tests', 'benchmarks', 'docs')
FILES = (
  'pyproject.toml',
  'README.md',
  'setup.py',
  'MANIFEST.in',
  'Makefile',
  'constraints.txt',
)
SECONDS = 400


@dataclasses.dataclass(frozen=True)
class Guard:
  """One guard.

  Attributes:
    name: what it is for.
    file: where it is.
    code: the piece of code, once in the file.
    without: what stands there instead when it is taken away.
    tests: files, or parts of names after '::' as pytest's -k takes them.
  """

  name: str
  file: str
  code: str
  without: str
  tests: str


A, E, W = 'jaxrkd/attacks/', 'jaxrkd/evaluate/', 'jaxrkd/interop/'
GUARDS = (
  # Steps.
  Guard(
    'a step is a share of the radius',
    *(A + 'step_size.py', 'return at_eight * (eps / EIGHT)', 'return at_eight'),
    'tests/steps_test.py::RuleTest or ConfigTest',
  ),
  Guard(
    'steps that cannot reach the border',
    *(A + 'step_size.py', 'if path < eps * (1 - SLACK):', 'if False:'),
    'tests/steps_test.py::budget',
  ),
  Guard(
    'radii of Linf under L2 and L1',
    *(A + 'threat.py', 'if levels in LINF_LEVELS and eps == levels / 255:', 'if False:'),
    'tests/steps_test.py::wrong_scale',
  ),
  Guard(
    'L2 and L1 radii in levels',
    *(A + 'threat.py', 'if not 0 <= eps <= most:', 'if not 0 <= eps:'),
    'tests/steps_test.py::wrong_scale',
  ),
  Guard(
    'steps in L2 go to the best point of ball and box',
    *(A + 'threat.py', 'way = l2_corner(scaled, clean, self.eps) - moved / 2'),
    'way = scaled',
    'tests/steps_test.py::ClosedFormTest',
  ),
  Guard(
    'steps in L1 give every pixel its room',
    *(
      A + 'threat.py',
      'moved = exchange(images - clean, clean, gradient, size, self.eps)',
    ),
    'moved = l1_ball_and_box(images + size * self.steepest(gradient) - clean, clean, '
    'self.eps)',
    'tests/steps_test.py::ClosedFormTest',
  ),
  Guard(
    'pixels without a slope keep their change',
    *(A + 'threat.py', 'way = jnp.where(scaled == 0, 0, way)', 'pass'),
    'tests/steps_test.py::SparseTest and stays_where',
  ),
  Guard(
    "another norm with the old one's radius",
    'jaxrkd/experiment/threats.py',
    *("if name != old['name'] and told.isdisjoint(given):", 'if False:'),
    'tests/steps_test.py::ConfigTest and mistakes',
  ),
  Guard(
    'images outside of the ball are marked',
    E + 'cascade.py',
    *('ledger.outside[places[numbers & ~seen.allowed], task.stage] = True', 'pass'),
    'tests/doors_test.py::outside_of_the_ball',
  ),
  Guard(
    'the attack searches the ball that is judged',
    *(
      E + 'attack_images.py',
      'if searched is not None and told(searched)',
      'if None and told(searched)',
    ),
    'tests/trust_test.py::another_ball_than',
  ),
  Guard(
    'the panel judges verdicts of its own ball',
    *(
      E + 'table_checks.py',
      "if found.about.get('threat') not in (None, asked):",
      'if False:',
    ),
    'tests/trust_test.py::verdicts_of_another_ball',
  ),
  Guard(
    'the panel judges verdicts of its own classifier',
    *(E + 'table_checks.py', 'if np.any(away):', 'if False:'),
    'tests/trust_test.py::verdicts_of_another_classifier',
  ),
  Guard(
    'weights that change where they lie are other weights',
    E + 'given.py',
    'return Subject(Given(self.function, self.name), ((), ()))',
    "return Subject(Given(self.function, ''), ((), ()))",
    'tests/recognised_test.py::changed_where_they_lie',
  ),
  Guard(
    'settings of an attack that change where they lie are others',
    *(E + 'attack_images.py', 'attack = Plain(attack, str(about.parts))', 'pass'),
    'tests/recognised_test.py::changed_where_they_lie',
  ),
  Guard(
    'a file of something else is no place for verdicts',
    *(E + 'verdicts.py', 'if told and _is_replaced(paths[0]):', 'if False:'),
    'tests/recognised_test.py::something_else_is_left',
  ),
  Guard(
    'channels come last',
    *(A + 'doors.py', 'if shape[1] in (1, 3) and shape[3] not in (1, 3)', 'if None'),
    'tests/doors_test.py::one_sentence',
  ),
  Guard(
    'an attack of another framework belongs to its verdicts',
    *(E + 'attack_images.py', 'numbers.append(found)', 'pass'),
    'tests/recognised_test.py::attack_of_another_framework',
  ),
  Guard(
    'an objective gives one value for each image',
    *(A + 'doors.py', "if getattr(given, 'shape', None) != wanted:", 'if False:'),
    'tests/doors_test.py::search',
  ),
  Guard(
    'a small slope in L2 does not vanish',
    *(A + 'threat.py', 'gradient = gradient / jnp.where(largest > 0, largest, 1)'),
    'gradient = gradient * 1',
    'tests/steps_test.py::direction_of_any_length',
  ),
  Guard(
    'projection into the ball',
    *(A + 'threat.py', 'inside = clean + jnp.clip(images - clean, -self.eps, self.eps)'),
    'inside = images',
    'tests/attacks_test.py::stays_in_the_ball',
  ),
  Guard(
    'what leaves the ball is no success',
    *(
      E + 'evaluator.py',
      'allowed &= far <= self._threat.eps * (1 + SLACK) + 1e-6',
      'pass',
    ),
    'tests/cascade_test.py::leaves_the_ball',
  ),
  Guard(
    'an attack of zero steps in training',
    *(
      'jaxrkd/experiment/check.py',
      "config.attack.get('steps', 1) < 1:",
      "config.attack.get('steps', 1) < -1:",
    ),
    'tests/steps_test.py::test_mistakes',
  ),
  Guard(
    'the measurement follows the threat set',
    *('jaxrkd/experiment/resolve.py', 'pairs = with_measurement(config, pairs)', 'pass'),
    'tests/steps_test.py::moves',
  ),
  Guard(
    'a training ball that differs is said',
    *(
      'jaxrkd/experiment/threats.py',
      'or own.to_dict() == measured.to_dict():',
      'or True:',
    ),
    'tests/steps_test.py::moves',
  ),
  # Slopes that are no numbers.
  Guard(
    'slopes of searches are numbers',
    *(A + 'slopes.py', 'return *finite(gradient), carry'),
    'return gradient, finite(gradient)[1], carry',
    'tests/not_finite_test.py::training_attacks',
  ),
  Guard(
    'an infinite slope keeps its sign',
    *(A + 'slopes.py', 'return jnp.where(real, gradient, instead)'),
    'return jnp.where(real, gradient, 0)',
    'tests/not_finite_test.py::infinite',
  ),
  Guard(
    'slopes of APGD are numbers',
    *(A + 'apgd_loss.py', 'return Slope(logits, values, *finite(gradient))'),
    'return Slope(logits, values, gradient, finite(gradient)[1])',
    'tests/not_finite_test.py::black_pixels',
  ),
  Guard(
    'slopes of FAB are numbers',
    *(
      A + 'boundary.py',
      'w, broken = finite(slope)',
      'w, broken = slope, finite(slope)[1]',
    ),
    'tests/not_finite_test.py::black_pixels',
  ),
  Guard(
    'slopes of SVGD are numbers',
    *(A + 'svgd.py', 'sound, broken = finite(merge(found))'),
    'sound, broken = merge(found), finite(merge(found))[1]',
    'tests/not_finite_test.py::training_attacks',
  ),
  Guard(
    'a loss that is no number is not the best',
    *(A + 'apgd_loss.py', 'jnp.where(jnp.isnan(values), -jnp.inf, values)', 'values'),
    'tests/not_finite_test.py::loss_of_ones_own',
  ),
  Guard(
    'masked classes do not divide by infinity',
    *(A + 'objectives.py', 'return jnp.where(jnp.isneginf(logits), least, logits)'),
    'return logits',
    'tests/not_finite_test.py::masked',
  ),
  Guard(
    'answers that are no numbers are wrong',
    *(E + 'evaluator.py', 'finite=sound(logits),', 'finite=jnp.ones(len(logits), bool),'),
    'tests/not_finite_test.py::stop_under_attack',
  ),
  Guard(
    'an image that becomes no number is marked',
    *(E + 'cascade.py', 'self._mark(places[~(seen.finite & numbers)])', 'pass'),
    'tests/not_finite_test.py::becomes_no_number',
  ),
  Guard(
    'slopes that are no numbers are counted',
    *(
      E + 'cascade.py',
      'self._mark(self._place[not_finite & (self._place >= 0)])',
      'pass',
    ),
    'tests/not_finite_test.py::black_pixels',
  ),
  Guard(
    'tables mark them',
    *(E + 'results.py', "return '*' if attack.get('not_finite') or", "return '' if"),
    'tests/not_finite_test.py::tables',
  ),
  # The trust panel.
  *(
    Guard(
      f'trust check: {check}',
      *(E + 'trust.py', f"    '{check}': ", f"    '{check}': [] and "),
      f'tests/trust_test.py::{test}',
    )
    for check, test in (
      ('a stronger attack was found', 'stronger'),
      ('slopes not finite', 'no_numbers'),
      ('zero gradients', 'masked_gradients'),
      ('budget too small', 'budget'),
      ('FGSM beats PGD', 'one_step'),
      ('Square beats APGD', 'random_search or wrong_way'),
      ('large eps leaves images right', 'masked_gradients'),
      ('transfer beats white-box', 'transfer'),
      ('repeated outputs differ', 'random_answers'),
      ('accuracy rises with eps', 'rises'),
    )
  ),
  Guard(
    'every single image proves a table wrong',
    *(E + 'table_checks.py', 'return [Share(float(np.mean(robust & broken)), 0)]'),
    'return [Share.of(robust & broken)]',
    'tests/trust_test.py::one_image_in_fifty',
  ),
  Guard(
    'verdicts of other images',
    *(E + 'table_checks.py', 'if not np.all(known) or np.any(', 'if False and np.any('),
    'tests/trust_test.py::other_images',
  ),
  Guard(
    'a panel that fails is a status',
    'jaxrkd/programs/evaluate.py',
    "STATUS = {'fail': exit_status.FAILED, 'none': exit_status.UNKNOWN}",
    'STATUS = {}',
    'tests/trust_test.py::exit_status',
  ),
  # Doors.
  Guard(
    'labels beyond the classes, direct calls',
    *(A + 'doors.py', 'if labels.min() < 0 or (classes is not None and labels.max() >= '),
    'if False and (classes is not None and labels.max() >= ',
    'tests/doors_test.py::one_sentence',
  ),
  Guard(
    'images outside of [0, 1], direct calls',
    *(A + 'doors.py', 'if low < -ROUNDING or high > 1 + ROUNDING:', 'if False:'),
    'tests/doors_test.py::one_sentence',
  ),
  Guard(
    'images that hold NaN',
    *(A + 'doors.py', 'if np.isnan(low) or np.isnan(high):', 'if False:'),
    'tests/doors_test.py::one_sentence',
  ),
  Guard(
    'a factory in the place of an attack',
    *(A + 'doors.py', 'factory = ball or strength', 'return'),
    'tests/doors_test.py::place_of_an_attack',
  ),
  Guard(
    'BatchNorm in training mode',
    *(E + 'inputs.py', 'if not beside <= most:', 'if False:'),
    'tests/doors_test.py::low_precision',
  ),
  Guard(
    'probabilities in place of logits',
    *(E + 'inputs.py', 'if np.all(logits >= 0) and np.allclose('),
    'if False and np.allclose(',
    'tests/cascade_test.py::one_sentence',
  ),
  Guard(
    'a missing teacher',
    *('jaxrkd/methods/answering.py', 'if role not in teachers:', 'if False:'),
    'tests/doors_test.py::TeacherTest',
  ),
  # Whose verdicts.
  Guard(
    'weights and gradient are part of the mark',
    *(E + 'attack_images.py', '[one.name for one in asked],', '[],'),
    'tests/recognised_test.py',
  ),
  Guard(
    'constants of a program count',
    *(A + 'code.py', 'for number in numbers_of(program):', 'for number in ():'),
    'tests/recognised_test.py',
  ),
  Guard(
    'numbers that cannot be taken out of a function are part of its code',
    *(A + 'code.py', 'for number in numbers_of(program):', 'for number in ():'),
    'tests/compiled_once_test.py::backward_pass_of_ones_own',
  ),
  Guard(
    'a function is read as it is now',
    *(A + 'code.py', 'jax.make_jaxpr(anew,', 'jax.make_jaxpr(function,'),
    'tests/recognised_test.py::changed_where_they_lie',
  ),
  Guard(
    'arrays that follow the batch are not shared',
    *(A + 'code.py', 'if len(there) != len(own) or not all(map(_same, there, own)):'),
    'if False:',
    'tests/compiled_once_test.py::cannot_be_shared',
  ),
  Guard(
    'settings of another type are other settings of an attack',
    *(A + 'built_once.py', '(k, v, type(v)) for k, v', '(k, v, None) for k, v'),
    'tests/compiled_once_test.py::EqualAttacksTest',
  ),
  Guard(
    'a network without weights teaches nobody',
    *('jaxrkd/train/distill.py', 'if isinstance(given, Net):', 'if False:'),
    'tests/distill_test.py::RefusedTest',
  ),
  Guard(
    'labels of every batch are looked at',
    'jaxrkd/train/distiller.py',
    *('if new or not isinstance(labels, jax.Array):', 'if new:'),
    'tests/distill_test.py::RefusedTest',
  ),
  Guard(
    'a network of ones own is not exported as one of ours',
    *('jaxrkd/interop/torch_net.py', 'if not is_shipped(name):', 'if False:'),
    'tests/interop_export_test.py::never_taken_for_ours',
  ),
  Guard(
    'an image that any restart broke is broken',
    *(A + 'stepwise.py', 'return AtOnce(fools(logits, points.label), found, broken)'),
    'return AtOnce(fools(logits, points.label) & (points.label < 0), found, broken)',
    'tests/autoattack_test.py::restarts_break_more',
  ),
  Guard(
    'slopes of another framework count',
    *(
      E + 'attack_images.py',
      'numbers += [unit_slopes(one.function, *shown) for one in asked]',
    ),
    'pass',
    'tests/recognised_test.py::another_framework',
  ),
  Guard(
    'answers of another framework may move by rounding alone',
    *(E + 'attack_images.py', 'KNOWN, OPAQUE = 1e-3, 4e-6', 'KNOWN, OPAQUE = 1e-3, 1e-3'),
    'tests/recognised_test.py::another_framework',
  ),
  # float32 has the last word.
  Guard(
    'successes are looked at once more in float32',
    *(E + 'cascade.py', 'broken = ~seen.right(task.images.label[places]) & seen.allowed'),
    'broken = np.ones(len(places), bool)',
    'tests/cascade_test.py::float32 or claims',
  ),
  # Data and weight files.
  Guard(
    'channels first',
    'jaxrkd/data/arrays.py',
    *('if shape[1] <= 4 < shape[3] and shape[1] < shape[2]:', 'if False:'),
    'tests/data_checks_test.py',
  ),
  Guard(
    'labels with gaps',
    *('jaxrkd/data/dataset.py', 'if len(present) == high + 1 and high:', 'if True:'),
    'tests/data_checks_test.py',
  ),
  Guard(
    'bytes that hold 0 and 1',
    *('jaxrkd/data/notes.py', 'if top >= 128:', 'if True:'),
    'tests/data_checks_test.py',
  ),
  Guard(
    'tensors stay inside their numbers',
    W + 'torch_pickle.py',
    *('if last >= len(data) or math.prod(self.size) > len(data):', 'if False:'),
    'tests/interop_pickles_test.py::beyond_its_numbers',
  ),
  Guard(
    'objects in the place of weights',
    W + 'unwrap.py',
    *('elif isinstance(value, Opaque) or isinstance(name, Opaque):', 'elif False:'),
    'tests/interop_names_test.py::place_of_weights',
  ),
  # Where programs run.
  Guard(
    'one job at a time in a workdir',
    'jaxrkd/experiment/run.py',
    *('with workdir_lock.hold(workdir):', 'with contextlib.nullcontext():'),
    'tests/workdir_test.py::holds_its_workdir',
  ),
  # Distances, 8 bits, published numbers.
  Guard(
    'the lengths of DDN grow to the radius',
    *(A + 'ddn.py', '  _check_reach(steps, length, gamma, threat.eps)\n', ''),
    'tests/minimum_norm_test.py::settings_that_break_nothing',
  ),
  Guard(
    'the weights of CW-L2 leave the clean image',
    *(A + 'cw_l2.py', 'weight * GROW ** (searches - 1) < 1:', 'False:'),
    'tests/minimum_norm_test.py::settings_that_break_nothing',
  ),
  Guard(
    'transferred minimum-norm images lie on the border of the ball',
    *(A + 'uninterrupted.py', 'if not attack.minimum_norm:', 'if True:'),
    'tests/minimum_norm_test.py::border_of_the_ball',
  ),
  Guard(
    'the scale of logits hides no boundary from FAB',
    *(A + 'projections.py', '1e-8 * jnp.minimum(jnp.max(size), 1)', '1e-8'),
    'tests/projections_test.py::scale_of_logits',
  ),
  Guard(
    'a refuted find keeps its distance',
    *(E + 'cascade.py', 'told |= claimed & seen.allowed', 'pass'),
    'tests/minimum_norm_test.py::even_more_right',
  ),
  Guard(
    'distance 0 is a distance',
    *(
      E + 'robustness.py',
      'found = ~ledger.standing | (ledger.claimed & ~ledger.outside.any(axis=1))',
      'found = np.concatenate(far) > 0',
    ),
    'tests/minimum_norm_test.py::on_the_boundary',
  ),
  Guard(
    'a proof holds at its radius',
    *(E + 'distances.py', '> float(eps) * (1 + ROUNDING)', '> eps'),
    'tests/minimum_norm_test.py::a_proof_holds',
  ),
  Guard(
    'distances of another norm are not read',
    *(E + 'fingerprint.py', 'parts[-1].append(repr(part.norm))', 'pass'),
    'tests/minimum_norm_test.py::file_of_another_norm',
  ),
  Guard(
    'rounding to 8 bits stays in the ball',
    *(E + 'eight_bits.py', 'np.floor(levels + SLACK)', 'np.ceil(levels - SLACK)'),
    'tests/png_files_test.py::stays_in_the_ball',
  ),
  Guard(
    'published numbers are of the published weights',
    *(
      'jaxrkd/experiment/publish.py',
      'if told != weights_digest(student.variables):',
      'if False:',
    ),
    'tests/publish_test.py::numbers_of_other_weights',
  ),
  # What a network says of itself.
  Guard(
    'notes of networks in tables',
    *(E + 'results.py', 'for name, row in rows:', 'for name, row in ():'),
    'tests/network_notes_test.py::one_line or file_to_every',
  ),
  Guard(
    'notes of networks that are called directly',
    *(E + 'marks.py', '  if note:', '  if False:'),
    'tests/network_notes_test.py::file_to_every',
  ),
  Guard(
    'notes of parts of a network',
    *('jaxrkd/models/own.py', "'') for _, part in parts]", "'') for _, part in ()]"),
    'tests/network_notes_test.py::own_networks',
  ),
  Guard(
    'MeanSparse says that it hides gradients',
    *('jaxrkd/models/mean_sparse.py', 'self.note, self.', 'self.told, self.'),
    'tests/network_notes_test.py::test_mean_sparse',
  ),
  Guard(
    'published numbers of a network that says more by now',
    *('jaxrkd/experiment/publish.py', '  if trained.net.note:', '  if False:'),
    'tests/network_notes_test.py::file_to_every',
  ),
  Guard(
    'rows of a study in several balls',
    *('jaxrkd/experiment/study_pages.py', 'if ball and several', 'if False'),
    'tests/study_test.py::test_a_study_from_nothing',
  ),
  Guard(
    'claims between rows in several balls',
    *('jaxrkd/experiment/study_table.py', 'if gap is None or apart:', 'if gap is None:'),
    'tests/study_test.py::test_a_study_from_nothing',
  ),
  Guard(
    'radius of a column in printed tables',
    *(E + 'results.py', '(heads or {}).get(name, name)', 'name'),
    'tests/robustness_test.py::worst_case',
  ),
  Guard(
    'AWP that never begins',
    *('jaxrkd/experiment/check_epochs.py', 'if config.awp.gamma and', 'if False and'),
    'tests/extras_test.py::test_bad_values',
  ),
  Guard(
    'IGDM without a term',
    *('jaxrkd/methods/igdm.py', 'if not beta + gamma:', 'if False:'),
    'tests/newer_oracles_test.py::bad_options_of_igdm',
  ),
)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--only', default='', help='guards whose name or file has this')
  parser.add_argument('--list', action='store_true', help='name them and leave')
  chosen = parser.parse_args()
  guards = [g for g in GUARDS if chosen.only in g.name or chosen.only in g.file]
  if chosen.list:
    print('\n'.join(f'{guard.file}: {guard.name}' for guard in guards))
    return
  began, survived = time.monotonic(), []
  with tempfile.TemporaryDirectory() as folder:
    copy = pathlib.Path(folder)
    for name in COPIED:
      shutil.copytree(HOME / name, copy / name)
    for name in FILES:
      shutil.copy(HOME / name, copy / name)
    for guard in guards:
      noticed = without(copy, guard)
      print(f'{noticed or "SURVIVES":90}  {guard.file}: {guard.name}', flush=True)
      survived += [] if noticed else [guard.name]
  minutes = (time.monotonic() - began) / 60
  print(f'{len(guards)} guards, {len(survived)} survive; {minutes:.0f} min')
  sys.exit(bool(survived))


def without(copy: pathlib.Path, guard: Guard) -> str:
  """The test that fails when a guard is taken away; '' if none does."""
  path = copy / guard.file
  whole = path.read_text(encoding='utf-8')
  if whole.count(guard.code) != 1:
    sys.exit(f'{guard.name}: {guard.code!r} is {whole.count(guard.code)} times in {path}')
  path.write_text(whole.replace(guard.code, guard.without), encoding='utf-8')
  file, _, names = guard.tests.partition('::')
  command = [sys.executable, '-m', 'pytest', '-W', 'error', '-q', '-x', '--tb=line', file]
  command += ['-k', names] if names else []
  command += ['-p', 'no:cacheprovider']
  environment = {**os.environ, 'PYTHONPATH': str(copy)}
  try:
    ran = subprocess.run(
      command,
      cwd=copy,
      env=environment,
      timeout=SECONDS,
      text=True,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
    )
    found = [
      x for x in ran.stdout.splitlines() if x.startswith(('FAILED', 'SUBFAILED', 'ERROR'))
    ]
    if ran.returncode not in (0, 1, 2):
      sys.exit(f'{guard.name}: pytest ended with {ran.returncode}\n{ran.stdout[-2000:]}')
    return found[0].split(' - ')[0] if found else ''
  except subprocess.TimeoutExpired:
    return f'{guard.tests} does not end'
  finally:
    path.write_text(whole, encoding='utf-8')


if __name__ == '__main__':
  main()
