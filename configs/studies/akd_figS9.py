"""AKD, Figures S9 to S13: what a standard teacher changes on easy and hard images.

Run:       jaxrkd study --name=akd_figS9 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd_dynamics.py')
KEY, MEAN = P.cell, S.larger
NAME, STOPPED, MIXED = P.dynamics_names('Std', 20)

STUDY = P.akd_dynamics(
  'Figures S9 to S13',
  'Which images does AKD with a standardly trained teacher help?',
  P.dynamics_rows('Std', 'std', 20),
  claims=[
    *P.follows_its_teacher(NAME),
    MEAN(
      'Clean hard images gain, at the cost of confidence on easier ones',
      (KEY(NAME, 'Improvement', 'clean', 'hardest'), 0.0),
      (
        KEY(NAME, 'Improvement', 'clean', 'hardest'),
        KEY(NAME, 'Improvement', 'clean', 'easiest'),
      ),
    ),
    MEAN(
      'The confidence of all adversarial images grows',
      (KEY(NAME, 'Improvement', 'adversarial', 'easiest'), 0.0),
      (KEY(NAME, 'Improvement', 'adversarial', 'hardest'), 0.0),
    ),
    MEAN(
      'Early stopping hurts hard clean images',
      (
        KEY(NAME, 'Improvement', 'clean', 'hardest'),
        KEY(STOPPED, 'Improvement', 'clean', 'hardest'),
      ),
    ),
    MEAN(
      'Early stopping helps easy adversarial images',
      (
        KEY(STOPPED, 'Improvement', 'adversarial', 'easiest'),
        KEY(NAME, 'Improvement', 'adversarial', 'easiest'),
      ),
    ),
    MEAN(
      'Label mixing (alpha 0.3) helps all clean images',
      (
        KEY(MIXED, 'Improvement', 'clean', 'easiest'),
        KEY(NAME, 'Improvement', 'clean', 'easiest'),
      ),
      (
        KEY(MIXED, 'Improvement', 'clean', 'hardest'),
        KEY(NAME, 'Improvement', 'clean', 'hardest'),
      ),
    ),
    MEAN(
      'For high values of alpha the student is not robust, for small ones it is',
      ((MIXED, 'PGD-7'), (NAME, 'PGD-7')),
    ),
  ],
  figures=P.dynamics_figures(
    'Std', 20, ('S9', 'S10', 'S11', 'S12', 'S13'), ('clean', 'adversarial')
  ),
)
