"""What an experiment may say: every key of a config with its default.

A group with a `name` picks a row of a table (`build/`), and its other keys are that row's
options.
"""

from typing import Any

from ml_collections import ConfigDict

EIGHT = 8 / 255


def base() -> ConfigDict:
  """Returns every key with its default; groups with a `name` take that name's options."""
  return ConfigDict(base_values(), convert_dict=True)


def base_values() -> dict[str, Any]:
  """`base` as dictionaries: to read, they are made in a small part of the time."""
  return dict(
    seed=0,
    # Several seeds instead of one, such as 0,1,2, trained at once in one program (a
    # vmapped step, or one after the other inside it: `stacking`), with the same teachers:
    # small students leave a device idle. Each is a run of its own in workdir/seeds/.
    seeds=(),
    epochs=1,
    # Epochs that the learning-rate schedule is made for, where training stops before its
    # end; 0 is `epochs`.
    schedule_len=0,
    # Independently seeded copies of this experiment: more than 1 trains each with its
    # own seed (`seed`, `seed` + 1, ...) and measures their average as one network.
    members=1,
    # Images per update, over all devices.
    batch_size=128,
    # How many of them at once in attacks and teachers, which take most memory and treat
    # every image alone; 0 is all. The results are the same.
    micro_batch=0,
    # Devices over which parameters, optimiser states and large teachers are split, where
    # one does not hold them; images are split over all devices whatever this is.
    mesh=dict(fsdp=1),
    # The training set lies on every device; with 'always' batches come from the host
    # instead, the same ones, and with 'auto' where the set takes more than a quarter of a
    # device's memory; on a CPU, where it stays on disk (data.name=npy).
    stream='auto',
    # Leave out the last, smaller batch of an epoch instead of padding and masking it.
    drop_last=False,
    # Compute type of the networks: float32 or bfloat16. Parameters, statistics,
    # softmax and losses are float32 either way.
    precision='float32',
    # `heldout` images are taken out of train by a fixed rule; `train_limit` and
    # `test_limit` keep only so many, by the same rule (0 keeps all). `classes` keeps some,
    # by name or number, numbered anew; empty keeps all.
    data=dict(name='digits', heldout=0, train_limit=0, test_limit=0, classes=()),
    # Further images to learn from, such as generated ones: a file or a folder of shards.
    # `real_fraction` of each batch still comes from the training set.
    extra=dict(path='', real_fraction=0.3),
    # Zero-padding before a random crop, in pixels; left-right mirroring; side of a square
    # hole in pixels (Cutout); parameter of the Beta distribution of CutMix (0 is off);
    # lines and columns that CropShift loses; random operations on colours and shape
    # (`policy`: idbh_color, idbh_shape, autoaugment); how often and how much random
    # erasing takes. `preset` sets several: idbh_weak, idbh_strong, idbh_svhn,
    # autoaugment; a run's config has the keys in its place. From the start of epoch
    # `late.epoch` on, `late.preset` does.
    augment=dict(
      pad=4,
      flip=True,
      cutout=0,
      cutmix=0.0,
      crop_shift=0,
      policy='',
      erasing=0.0,
      erasing_area=(0.02, 0.33),
      preset='',
      late=dict(epoch=0, preset=''),
    ),
    # How often images are drawn: `uniform`, each once an epoch, or `class_balanced`,
    # each class as often as any other.
    sampling='uniform',
    # Share of a label that is spread over all classes, `on` all images or only `extra`.
    label_smoothing=dict(amount=0.0, on='extra'),
    # Options of every network: `bn_variance` (unbiased as PyTorch, biased as Flax),
    # `bn_momentum` (share of the old running value that stays), normalisation inside the
    # network by name (`normalisation`: cifar10, cifar100, imagenet, ...) or by numbers
    # (`mean` and `std`, per channel).
    student=dict(name='resnet18'),
    # name -> `teacher(...)`. With a workdir, that run's network; with a file, what this
    # holds; otherwise the one its config trains, inside this run's workdir.
    teachers=dict(),
    # name -> network, as `student` names one: teachers that at_aka trains along with the
    # student, each on its own adversarial image.
    online=dict(),
    # How several teachers, or the members of an ensemble, answer together: the mean of
    # their 'probabilities' or 'logits'; teachers also by 'naive', 'linear', 'soft' or
    # 'pareto', which weigh them image by image (AT-AKA, section 5.3).
    ensemble=dict(name='probabilities'),
    # Networks of one architecture in one call ('vmap') or one after the other ('loop');
    # 'auto' takes the one that was measured to be faster on the device.
    stacking='auto',
    # Compute the activations inside every block of every network again for gradients
    # instead of keeping them: less memory, more time, the same results.
    remat=False,
    method=dict(name='natural'),
    # What the attack raises in training; 'own' is the method's.
    inner=dict(name='own'),
    # Where training images may move; eps in [0, 1] pixels. An override of it moves
    # `evaluation.threat` along unless that is overridden, too.
    threat=dict(name='linf', eps=EIGHT),
    # The search that training uses. A `step_size` of None, there and in all attacks, is
    # the attack's own share of eps (pgd: a quarter). `bn`: the student's BatchNorm in the
    # attack; 'eval' uses running statistics, 'batch' those of the batch, 'train' those of
    # the batch and moves the running ones at every attack step.
    attack=dict(name='pgd', bn='eval', ramp=0),
    schedule=dict(name='milestones'),
    # sgd as PyTorch computes it: `momentum`, `weight_decay`, `nesterov`, `decay_norm`
    # (weight decay on BatchNorm's scales and biases too). Others are those of optax, with
    # rates (`schedule.peak`) of their own.
    optimizer=dict(name='sgd'),
    # Weights, too, move to raise the loss before its gradient is taken (AWP): `gamma`
    # relative to their length, from epoch `warmup` on; 0 is off.
    awp=dict(gamma=0.0, warmup=0),
    # How the teacher's answer changes along an attack, as one more term of any method with
    # one student and frozen teachers (IGDM); alpha 0 is off.
    igdm=dict(alpha=0.0, beta=1.0, gamma=1.0, order='shared', ramp=0, teacher='robust'),
    # Moving average of the student's parameters; decay 0 keeps none.
    ema=dict(decay=0.0, warmup=True),
    # The mean of the parameters after each epoch from `start` on, counted from 1, with
    # BatchNorm's statistics estimated anew (SWA); 0 keeps none. `decay` is the share of the
    # old average that stays at the end of an epoch; 0 weighs all epochs alike.
    swa=dict(start=0, decay=0.0),
    # The checkpoint called best: highest `metric` ('weighted', the mean of clean and
    # robust accuracy; 'robust'; 'clean') on `split` ('heldout' or 'test'), looked at
    # every `every` epochs. Training stops where the robust accuracy on it falls by more
    # than `max_drop` from one look to the next (0 never stops): fast adversarial
    # training can collapse. `last` is then saved at every look instead of every
    # `checkpoint_every` epochs.
    select=dict(
      split='heldout',
      metric='weighted',
      every=1,
      max_drop=0.0,
      attack=dict(name='pgd_trades'),
    ),
    # The final measurement, in float32. Each key of `attacks` is a column; `name` says
    # which attack if the key does not, `surrogate` on which other network (a teacher, or
    # a run's workdir) its images are made. `images` are the first so many in file order
    # (0 is all). Attacks search in `search_precision`; whatever they find counts only if
    # float32 agrees. `trust.images` of them go through the checks that tell whether
    # the numbers can be believed (0 makes none). `gallery.images` of them are kept with
    # their adversarial counterparts for the page (0 keeps none). `distances.attacks` look
    # for the nearest adversarial image of the first `distances.images` (0 is all),
    # whatever the radius; empty measures no distances.
    evaluation=dict(
      split='test',
      images=0,
      batch_size=256,
      search_precision='float32',
      trust=dict(images=100),
      gallery=dict(images=12),
      distances=dict(attacks=(), images=1000),
      threat=dict(name='linf', eps=EIGHT),
      attacks=dict(fgsm={}, pgd_sat={}, pgd_trades={}, cw_inf={}),
    ),
    # After every epoch, for every image of these splits (train, heldout, test): the
    # probability of the right class, clean and under `attack` in the measured ball, and
    # the entropy of the prediction; see `evaluate.trajectories`. Empty records nothing.
    trajectories=dict(splits=(), attack=dict(name='pgd', steps=7)),
    # Accuracies in percent that are known of the network that this config trains, by
    # column, and `clean`: the teacher doctor compares with them.
    expected=dict(),
    # Epochs between checkpoints; epochs whose checkpoint is kept for good, for teachers
    # stopped early; updates between log lines.
    checkpoint_every=1,
    keep_epochs=(),
    log_every=50,
    # Who else is told what metrics.jsonl holds: wandb, trackio.
    trackers=(),
  )


def teacher(
  config: ConfigDict | None = None,
  workdir: str = '',
  kind: str = 'robust',
  weight: float = 0.0,
  checkpoint: str = 'best',
  epoch: int = 0,
  network: str = '',
  file: str = '',
  recipe: str = '',
) -> dict[str, Any]:
  """An entry of `teachers`.

  Args:
    config: experiment that trains it, unless `workdir` or `file` is given; with a file it
      says which network that holds.
    workdir: a finished run to take it from.
    kind: 'clean' or 'robust': which of a method's roles it plays.
    weight: its share among the teachers that play a role together; all 0 are equal shares.
    checkpoint: 'best', 'last', 'ema' for the averaged parameters of the last, or 'swa'.
    epoch: take it as it was after this epoch; 0 takes `checkpoint`.
    network: one of several that its run trained together; empty takes its student.
    file: weights from elsewhere, such as a PyTorch file.
    recipe: which public teacher the file is (`interop.RECIPES`); empty where `config` says
      it.
  """
  return {
    'workdir': workdir,
    'checkpoint': checkpoint,
    'epoch': epoch,
    'network': network,
    'file': file,
    'recipe': recipe,
    'kind': kind,
    'weight': weight,
    'config': config if config is not None else ConfigDict(),
  }
