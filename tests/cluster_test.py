"""The scripts for TPU pods and Slurm, with stand-ins for gcloud, srun and scontrol."""

import os
import pathlib
import shutil
import subprocess

import tiny
from absl.testing import absltest, parameterized

ROOT = pathlib.Path(__file__).parent.parent


class ScriptTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self)
    self.log = self.folder / 'log'

  def stand_in(self, name, body='true'):
    path = self.folder / 'bin' / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/bash\necho {name} "$@" >> {self.log}\n{body}\n')
    path.chmod(0o755)

  def start(self, *command, **environment):
    path = f'{self.folder / "bin"}:/usr/bin:/bin'
    return subprocess.run(
      ['bash', *command],
      env={**os.environ, 'PATH': path, **environment},
      cwd=self.folder,
      capture_output=True,
      text=True,
      timeout=60,
      check=False,
    )

  def pod(self, *arguments, **environment):
    return self.start(str(ROOT / 'launch' / 'tpu_pod.sh'), *arguments, **environment)

  def test_a_pod_from_nothing_to_results(self):
    self.stand_in('gcloud', '[[ $4 != describe ]]')
    done = self.pod('all', '--config=a b.py', '--workdir=/w', SPOT='1', ZONE='z')
    self.assertEqual(done.returncode, 0, done.stderr)
    lines = self.log.read_text().splitlines()
    verbs = [line.split()[4] for line in lines if line.startswith('gcloud')]
    self.assertEqual(verbs, ['describe', 'create', 'scp', 'ssh', 'ssh', 'ssh', 'delete'])
    self.assertIn('--spot --zone=z', lines[1])
    (run,) = [line for line in lines if 'main.py' in line]
    self.assertIn(
      '--worker=all --command=cd ~/jaxrkd && .venv/bin/python launch/main.py '
      '--coordinator=auto --config=a\\ b.py --workdir=/w',
      run,
    )

  @parameterized.parameters(({},), ({'SPOT': '0'},), ({'SPOT': ''},))
  def test_machines_that_stay_unless_others_are_asked_for(self, given):
    self.stand_in('gcloud', '[[ $4 != describe ]]')
    self.assertEqual(self.pod('create', **given).returncode, 0)
    self.assertNotIn('--spot', self.log.read_text())

  def test_what_is_set_up_comes_before_the_run(self):
    self.stand_in('gcloud', '[[ $4 != describe ]] || echo READY')
    for verb in ('create', 'install'):
      self.assertEqual(self.pod(verb, SETUP='mount it').returncode, 0)
    self.assertRegex(
      self.log.read_text(), r'(?s)describe.*--worker=all --command=mount it .*uv venv'
    )

  def test_a_run_that_fails_keeps_the_pod(self):
    self.stand_in('gcloud', '[[ "$*" != *main.py* ]]')
    self.assertNotEqual(self.pod('all', '--config=c', '--workdir=/w').returncode, 0)
    self.assertNotIn('delete', self.log.read_text())

  @parameterized.parameters(('READY', False), ('PREEMPTED', True))
  def test_a_pod_that_is_there(self, state, again):
    self.stand_in('gcloud', f'[[ $4 != describe ]] || echo {state}')
    done = self.pod('create')
    self.assertEqual(done.returncode, 0, done.stderr)
    verbs = [line.split()[4] for line in self.log.read_text().splitlines()]
    made = ['describe', 'delete', 'create'] if again else ['describe']
    self.assertEqual(verbs, made)

  @parameterized.parameters(
    ((), 'no command'),
    (('fly',), 'unknown command fly'),
    (('run',), 'run needs the flags'),
    (('all',), 'all needs the flags'),
    (('all', '--config=c', '--workdir=w'), 'a --workdir that outlives them'),
    (('collect',), 'collect needs a folder'),
  )
  def test_mistakes(self, arguments, message):
    self.stand_in('gcloud')
    done = self.pod(*arguments)
    self.assertEqual(done.returncode, 2)
    self.assertIn(message, done.stderr)

  def test_without_gcloud(self):
    bare = self.folder / 'bare'
    bare.mkdir()
    for name in ('bash', 'dirname'):
      (bare / name).symlink_to(shutil.which(name))
    done = self.pod('create', PATH=str(bare))
    self.assertEqual(done.returncode, 2)
    self.assertIn('gcloud is not installed', done.stderr)

  @parameterized.parameters((0, False), (2, False), (143, True))
  def test_slurm(self, status, requeued):
    self.stand_in('srun', f'exit {status}')
    self.stand_in('scontrol')
    script = str(ROOT / 'launch' / 'slurm.sbatch')
    own = dict(SLURM_JOB_ID='7', SLURM_SUBMIT_DIR=str(self.folder))
    done = self.start(script, '--config=c', '--workdir=w', **own)
    self.assertEqual(done.returncode, status)
    lines = self.log.read_text().splitlines()
    self.assertIn('main.py --config=c --workdir=w', lines[0])
    self.assertEqual(lines[1:], ['scontrol requeue 7'] if requeued else [])


if __name__ == '__main__':
  absltest.main()
