"""What every key of a config means, in one sentence or two; `defaults` has the values."""

from collections.abc import Iterator, Mapping
from typing import Any

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.defaults import teacher
from jaxrkd.experiment.tables import COLUMN_KEYS
from jaxrkd.models.named import NETWORK_KEYS

# A group with a `name` picks a row of a table; `.name` says which table.
MEANINGS: dict[str, str] = {
  'seed': 'Seed of everything random: initial weights, order of images, augmentation, attacks.',
  'seeds': 'Several seeds in place of one, such as 0,1,2. They train at once in one program with '
  'the same teachers, and each is a run of its own in `WORKDIR/seeds/`.',
  'epochs': 'Passes over the training images.',
  'schedule_len': 'Epochs that the learning-rate schedule is made for, if training stops before '
  'its end. 0 takes `epochs`.',
  'members': 'Copies of this experiment with the seeds `seed`, `seed` + 1, ..., whose average is '
  'measured as one network.',
  'batch_size': 'Images of an update, over all devices.',
  'micro_batch': 'How many images of a batch attacks and teachers take at once, to save memory. '
  'The results are the same. 0 takes all.',
  'mesh.fsdp': 'Devices over which parameters, optimiser states and large teachers are split, '
  'for networks that one device cannot hold. Images are split over all devices in any case.',
  'stream': "Where batches come from: 'never' keeps the training set on every device, 'always' "
  "sends batches from the host. 'auto' sends them if the set takes more than a quarter of a "
  "device's memory; on a CPU, if the set stays on disk.",
  'drop_last': 'Leave out the last, smaller batch of an epoch in place of padding it.',
  'precision': 'What networks compute in: float32 or bfloat16. Parameters, statistics, softmax '
  'and losses are float32 in both.',
  'data.name': 'Source of the images: a row of the [sources](data.md).',
  'data.heldout': 'Training images that are held out, by a fixed rule, to select the best '
  'checkpoint.',
  'data.train_limit': 'Keep only so many training images, by a fixed rule. 0 keeps all.',
  'data.test_limit': 'Keep only so many test images, by a fixed rule. 0 keeps all.',
  'data.classes': 'Keep only these classes, by name or number, and number them anew. Empty '
  'keeps all.',
  'extra.path': 'Further images to train on, such as generated ones: an .npz file with `image` '
  'and `label`, or a folder of such files or of pairs of .npy files. Empty takes none.',
  'extra.real_fraction': 'Share of each batch that still comes from the training set.',
  'augment.pad': 'Pixels of zeros around an image before a random crop.',
  'augment.flip': 'Mirror images left to right at random.',
  'augment.cutout': 'Edge of a square hole in pixels (Cutout). 0 makes none.',
  'augment.cutmix': 'Parameter of the Beta distribution of CutMix. 0 is off.',
  'augment.crop_shift': 'Lines and columns that CropShift may lose: it cuts a part of the image '
  'out and puts it somewhere on black. 0 is off.',
  'augment.policy': "Random operations on colours and shape: 'idbh_color' or 'idbh_shape' (one "
  "of IDBH's), 'autoaugment' (two of AutoAugment's for CIFAR-10). Empty makes none.",
  'augment.erasing': 'How often random erasing blackens a box, from 0 to 1.',
  'augment.erasing_area': 'Smallest and largest share of the image that random erasing takes.',
  'augment.preset': "Sets the keys of a published recipe: 'idbh_weak', 'idbh_strong', "
  "'idbh_svhn', 'autoaugment'. Empty sets none.",
  'augment.late.epoch': 'From the start of this epoch on, augment.late.preset sets the keys. 0 '
  'never changes them.',
  'augment.late.preset': 'The recipe for the late epochs; see augment.preset.',
  'sampling': "How often images are drawn: 'uniform' takes each once an epoch, "
  "'class_balanced' each class as often as any other.",
  'label_smoothing.amount': 'Share of a label that is spread over all classes.',
  'label_smoothing.on': "Which images' labels are smoothed: 'all' or 'extra'.",
  'student.name': 'Architecture of the trained network: a row of the [networks](networks.md).',
  'teachers': 'Name -> teacher; the keys of each are below. A teacher with a workdir is that '
  "run's network, one with a file what the file holds, any other is trained first.",
  'online': 'Name -> network, as `student` names one: teachers that `at_aka` trains along with '
  'the student.',
  'ensemble.name': 'How several teachers, or the members of an ensemble, answer together: the '
  "mean of their 'probabilities' or 'logits'; teachers also by an amalgamation, which weighs "
  'them image by image (AT-AKA, section 5.3).',
  'stacking': "Networks of one architecture in one call ('vmap') or one after the other "
  "('loop'); 'auto' takes what was measured to be faster on the device.",
  'remat': 'Compute the activations of every block again for gradients in place of keeping '
  'them: less memory, more time, the same results.',
  'method.name': 'Training method: a row of the [methods](methods.md).',
  'inner.name': "What the attack raises in training: 'own' takes the method's, any other name "
  'a row of the [inner problems](methods.md#inner-problems).',
  'threat.name': 'Norm of the ball in which training images may move: linf, l2 or l1.',
  'threat.eps': 'Radius of that ball, in [0, 1] pixels. `evaluation.threat` follows unless it '
  'is given, too.',
  'attack.name': 'Search of the training attack: a row of the [searches](attacks.md#searches).',
  'attack.ramp': 'Radius and steps of the attack grow until the end of this epoch: in epoch e they '
  'are e / ramp of the whole. -1 takes the epochs of the training, 0 has the whole from the start.',
  'attack.bn': "BatchNorm of the student during the attack: 'eval' takes running statistics, "
  "'batch' those of the batch, 'train' those of the batch and moves the running ones.",
  'schedule.name': 'Learning-rate schedule: a row of the [schedules](training.md#schedules).',
  'optimizer.name': 'Optimiser of the student: a row of the '
  '[optimisers](training.md#optimisers).',
  'awp.gamma': 'Adversarial weight perturbation: how far weights move to raise the loss before '
  'its gradient is taken, relative to their length. 0 is off; the authors take 0.005 to 0.01.',
  'awp.warmup': 'Epochs before the first such move; the authors take 10 with TRADES, 0 with SAT.',
  'swa.decay': 'Share of the old average that stays at the end of another epoch. 0 weighs all '
  'epochs alike; the authors of IKL take 0.9.',
  'igdm.alpha': "Indirect gradient matching: weight of a further term, how the teacher's answer "
  'changes along the attack. 0 is off; the paper searches 1 to 100.',
  'igdm.beta': 'How far its first point lies along the attack; 1 is the adversarial image.',
  'igdm.gamma': 'How far its second point lies in the other direction.',
  'igdm.order': "In which order the student sees the points: 'shared', or such as "
  "'plus_nat_minus_adv'. It moves BatchNorm's running statistics alone.",
  'igdm.ramp': 'Epochs after which the term has its full weight. 0 takes those of the training.',
  'igdm.teacher': "The teacher: 'all', a kind ('clean', 'robust'), or a name.",
  'ema.decay': "Decay of a moving average of the student's parameters, which is measured "
  'beside best and last. 0 keeps none.',
  'ema.warmup': 'Let the average follow quickly at the beginning.',
  'swa.start': 'First epoch whose end counts in an average of the parameters over epochs, which '
  'is measured as `swa`. Its BatchNorm statistics are estimated anew. 0 keeps none; authors take '
  'the first drop of the rate, or half of the epochs.',
  'select.split': "Images on which the best checkpoint is chosen: 'heldout', or 'test' as the "
  'papers do, which makes its accuracies optimistic; results say so.',
  'select.metric': "What is highest at the best checkpoint: 'weighted' (the mean of clean and "
  "robust accuracy), 'robust' or 'clean'.",
  'select.every': 'Epochs from one measurement of `select.metric` to the next.',
  'select.max_drop': 'Training stops if robust accuracy falls by more than this share '
  'between two such measurements; fast adversarial training can collapse. 0 never stops.',
  'select.attack.name': 'Attack of these measurements: a row of the '
  '[attacks](attacks.md).',
  'select.attack.eps': 'Radius of its ball. 0 takes that of `evaluation.threat`.',
  'evaluation.split': "Images of the final measurement: 'test' or 'heldout'.",
  'evaluation.images': 'Measure only the first so many images. 0 measures all.',
  'evaluation.batch_size': 'Images at a time, over all devices. No result depends on it.',
  'evaluation.search_precision': 'What attacks compute in: float32 or bfloat16. A success '
  'counts only if float32 agrees.',
  'evaluation.trust.images': 'Images of the checks that tell whether the numbers can be '
  'believed. 0 makes no checks.',
  'evaluation.gallery.images': 'Images that are kept with their adversarial counterparts for '
  'the page of the run. 0 keeps none.',
  'evaluation.distances.attacks': 'Attacks that measure how far the nearest adversarial image '
  'is, such as fab_t,deepfool: accuracy in balls of every size. Empty measures none.',
  'evaluation.distances.images': 'Images of these measurements, the first ones. 0 takes all.',
  'evaluation.threat.name': 'Norm of the ball of the measurement: linf, l2 or l1.',
  'evaluation.threat.eps': 'Radius of that ball, in [0, 1] pixels.',
  'evaluation.attacks': 'Name of a column -> attack; the keys of each are below.',
  'trajectories.splits': 'Splits (train, heldout, test) of which every image is recorded after '
  'every epoch: the probability of its class, clean and attacked, and the entropy of the '
  'prediction. Empty records nothing.',
  'trajectories.attack.name': 'Attack of these recordings: a row of the '
  '[searches](attacks.md#searches).',
  'trajectories.attack.steps': 'Its steps.',
  'expected': 'Accuracies in percent that are known of the network, by column, and `clean`: '
  'the teacher doctor compares with them.',
  'checkpoint_every': 'Epochs from one checkpoint to the next.',
  'keep_epochs': 'Epochs whose checkpoint is kept for good, such as for teachers stopped early.',
  'log_every': 'Updates from one line of metrics.jsonl to the next.',
  'trackers': 'Experiment trackers that are told what metrics.jsonl holds: wandb, trackio. Each '
  'must be installed.',
}
TEACHER: dict[str, str] = {
  'workdir': 'A finished run to take the teacher from.',
  'checkpoint': "Which of its checkpoints: 'best', 'last', 'ema' for the averaged parameters, or "
  "'swa' for the average over epochs.",
  'epoch': 'Take it as it was after this epoch (see `keep_epochs`). 0 takes `checkpoint`.',
  'network': 'One of several networks that its run trained. Empty takes the student.',
  'file': 'Weights from elsewhere, such as a PyTorch file.',
  'recipe': 'Which public network the file holds (`jaxrkd convert --list`). Empty if `config` '
  'says it.',
  'kind': "'clean' or 'robust': the role that it plays in a method.",
  'weight': 'Its share among the teachers of one role. All 0 are equal shares.',
  'config': 'Experiment that trains it, if neither `workdir` nor `file` is given: a config of '
  'its own, with all keys of this page.',
}
COLUMN: dict[str, str] = {
  'name': 'Which attack it is, if the name of the column does not say so.',
  'eps': 'Radius of its ball. 0 takes that of `evaluation.threat`.',
  'surrogate': "Make the adversarial images on another network: a teacher's name or the "
  'workdir of a run (a transfer attack). Empty attacks the measured network.',
}
NETWORK: dict[str, str] = {
  'bn_variance': "How BatchNorm's running variance is taken: 'unbiased' as PyTorch, 'biased' "
  'as Flax.',
  'bn_momentum': 'Share of the old running value that stays.',
  'normalisation': 'Normalisation of the input inside the network by name: none, cifar10, '
  'cifar100, imagenet and others.',
  'mean': 'The same by numbers: the mean of each channel in [0, 1].',
  'std': 'And its standard deviation.',
}
# Beside the options of a row: what groups of a kind have -> which keys and defaults.
BESIDE: dict[str, tuple[dict[str, str], Mapping[str, Any]]] = {
  'A teacher: `teachers.NAME`': (TEACHER, teacher()),
  'A column: `evaluation.attacks.NAME`': (COLUMN, {'name': '', **COLUMN_KEYS}),
  'A network: `student`, `online.NAME`': (NETWORK, NETWORK_KEYS),
}
# Keys of groups that users name themselves, which are empty by default.
OPEN = ('teachers', 'online', 'evaluation.attacks', 'expected')
DEFAULT_COLUMNS = 'fgsm, pgd_sat, pgd_trades, cw_inf'


def rows() -> Iterator[tuple[str, Any, str]]:
  """(key, default, meaning) of every key that a config has before names bring options.

  Raises:
    KeyError: a key has no meaning: write it.
  """
  known = dict(configs.leaves(configs.base_values()))
  for key in MEANINGS:
    if key == 'select.attack.eps':
      yield key, 0.0, MEANINGS[key]
    elif key == 'evaluation.attacks':
      yield key, DEFAULT_COLUMNS, MEANINGS[key]
    elif key in OPEN:
      yield key, '', MEANINGS[key]
    else:
      yield key, known.pop(key), MEANINGS[key]
  for key in known:
    # The names of columns are a user's.
    if not key.startswith(OPEN):
      raise KeyError(key)
