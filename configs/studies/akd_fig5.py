"""AKD, Figures 5, 6 and S4 to S8: what a robust teacher changes on easy and hard images.

Run:       jaxrkd study --name=akd_fig5 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd_dynamics.py')
KEY, MEAN = P.cell, S.larger
NAME, STOPPED, MIXED = P.dynamics_names('AT', 30)

STUDY = P.akd_dynamics(
  'Figures 5, 6 and S4 to S8',
  'Which images does AKD with an adversarially trained teacher help?',
  P.dynamics_rows('AT', 'pgd7', 30),
  claims=[
    *P.follows_its_teacher(NAME),
    MEAN(
      'Hard images differ more when they are adversarial',
      (
        KEY(NAME, 'Similarity', 'clean', 'hardest'),
        KEY(NAME, 'Similarity', 'adversarial', 'hardest'),
      ),
    ),
    *(
      MEAN(
        f'The student gives hard images higher probabilities than the teacher: {images}',
        (KEY(NAME, 'Improvement', images, 'hardest'), 0.0),
      )
      for images in ('clean', 'adversarial')
    ),
    *(
      MEAN(
        f'Hard images gain more than easy ones: {images}',
        (
          KEY(NAME, 'Improvement', images, 'hardest'),
          KEY(NAME, 'Improvement', images, 'easiest'),
        ),
      )
      for images in ('clean', 'adversarial')
    ),
    MEAN(
      'The gain on hard images is larger for robustness',
      (
        KEY(NAME, 'Improvement', 'adversarial', 'hardest'),
        KEY(NAME, 'Improvement', 'clean', 'hardest'),
      ),
    ),
    *(
      MEAN(
        f'Early stopping helps the hardest images and hurts most others: {images}',
        (
          KEY(STOPPED, 'Improvement', images, 'hardest'),
          KEY(NAME, 'Improvement', images, 'hardest'),
        ),
        (
          KEY(NAME, 'Improvement', images, 'easiest'),
          KEY(STOPPED, 'Improvement', images, 'easiest'),
        ),
      )
      for images in ('clean', 'adversarial')
    ),
    *(
      MEAN(
        f'Label mixing (alpha 0.3) helps all images: {images}',
        (
          KEY(MIXED, 'Improvement', images, 'easiest'),
          KEY(NAME, 'Improvement', images, 'easiest'),
        ),
        (
          KEY(MIXED, 'Improvement', images, 'hardest'),
          KEY(NAME, 'Improvement', images, 'hardest'),
        ),
      )
      for images in ('clean', 'adversarial')
    ),
  ],
  figures=[
    *P.dynamics_figures('AT', 30, ('5', '6', 'S6', 'S7', 'S8'), ('adversarial', 'clean')),
    *P.GALLERIES,
  ],
)
