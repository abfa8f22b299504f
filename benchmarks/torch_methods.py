"""What each method does in a step, in PyTorch; for `torch_steps.py`.

Passes, attack steps and modes are those of the released programs; numbers that change no
time, such as weight decay, are the same for all.

A function takes a `torch_steps.Step` and returns the loss. AT-AKA and CAT-AKA, for which no
program was released, are not here.
"""

import torch
from torch.nn import functional as F


def divergences(teacher, logits, epsilon=0.0):
  """KL of every image: sum over classes."""
  p, log_q = F.softmax(teacher.float(), 1), F.log_softmax(logits.float(), 1)
  log_p = torch.log(p + epsilon) if epsilon else F.log_softmax(teacher.float(), 1)
  return (p * (log_p - log_q)).sum(1)


def divergence(teacher, logits, epsilon=0.0):
  return divergences(teacher, logits, epsilon).mean()


def true_probability(logits, labels):
  return F.softmax(logits.float(), 1).gather(1, labels[:, None])[:, 0]


def natural(step):
  step.net.train()
  return step.label_loss(step.images)


def sat(step):
  return step.label_loss(step.attack(step.label_loss))


def ffgsm(step):
  return step.label_loss(step.attack(step.label_loss, 1, 10 / 255, train=True))


def mart(step):
  x = step.attack(step.label_loss)
  nat, adv = step.student(step.images).float(), step.student(x).float()
  probs, adv_probs = F.softmax(nat, 1), F.softmax(adv, 1)
  own = F.one_hot(step.labels, probs.shape[1]).bool()
  wrong = adv_probs.masked_fill(own, 0).amax(1)
  bce = F.cross_entropy(adv, step.labels, reduction='none') - torch.log(1.0001 - wrong)
  robust = (probs * (F.log_softmax(nat, 1) - torch.log(adv_probs + 1e-12))).sum(1)
  return (bce + 5 * robust * (1 - probs[own])).mean()


def ckd(step):
  step.net.train()
  with torch.no_grad():
    target = step.teachers['clean'](step.images)
  logits = step.student(step.images)
  label = F.cross_entropy(logits.float(), step.labels)
  return 0.5 * label + 0.5 * divergence(target, logits)


def ard(step, temperature=30.0):
  x = step.attack(step.label_loss, train=True)
  with torch.no_grad():
    target = step.teachers['robust'](step.images)
  adv = step.student(x)
  # The programs do this pass, forward and back, also where its weight is 0.
  label = 0 * step.label_loss(step.images)
  matched = divergence(target / temperature, adv / temperature)
  return label + temperature**2 * matched / target.shape[1]


def iad_1(step):
  x = step.attack(step.label_loss, train=True)
  with torch.no_grad():
    target, robust = step.teachers['robust'](step.images), step.teachers['robust'](x)
  adv, _, nat, own = (step.student(z) for z in (x, x, step.images, step.images))
  label = 0 * F.cross_entropy(nat.float(), step.labels)  # as in `ard`
  trust = true_probability(robust, step.labels) ** 0.1
  own_loss = ((1 - trust) * divergences(own, adv)).mean()
  return label + divergence(target, adv) + own_loss


def iad_2(step):
  x = step.attack(step.label_loss, train=True)
  with torch.no_grad():
    robust, clean = step.teachers['robust'](x), step.teachers['clean'](x)
  adv, own = step.student(x), step.student(step.images)
  trust = true_probability(robust, step.labels) ** 0.1
  mixed = trust * divergences(robust, adv) + (1 - trust) * divergences(own, adv)
  label = F.cross_entropy(adv.float(), step.labels)
  return 0.25 * label + 0.5 * mixed.mean() + 0.25 * divergence(clean, adv)


def adaad(step):
  teacher = step.teachers['robust']
  x = step.attack(lambda x: divergence(teacher(x), step.student(x)))
  with torch.no_grad():
    targets = teacher(x), teacher(step.images)
  clean = 0 * divergence(targets[1], step.student(step.images))  # as in `ard`
  return clean + 0.1 * divergence(targets[0], step.student(x))


def akd(step):
  x = step.attack(step.label_loss, 7)
  with torch.no_grad():
    probs = F.softmax(step.teachers['robust'](x).float(), 1)
  target = 0.5 * probs + 0.5 * F.one_hot(step.labels, probs.shape[1])
  return F.cross_entropy(step.student(x).float(), target)


def trades(step):
  step.net.eval()
  with torch.no_grad():
    clean = step.student(step.images)
  x = step.attack(lambda x: divergence(clean, step.student(x)))
  logits = step.student(step.images)
  label = F.cross_entropy(logits.float(), step.labels)
  # The released program passes the clean images a second time.
  return label + 6 * divergence(step.student(step.images), step.student(x))


def rslad(step):
  with torch.no_grad():
    target = step.teachers['robust'](step.images)
  x = step.attack(lambda x: divergence(target, step.student(x)))
  adv, nat = step.student(x), step.student(step.images)
  return (5 * divergence(target, adv) + divergence(target, nat)) / 6


def mtard(step):
  x = step.attack(step.label_loss)
  with torch.no_grad():
    target_adv = step.teachers['robust'](x)
    target_nat = step.teachers['clean'](step.images)
  adv = divergence(target_adv, step.student(x), 1e-5)
  nat = divergence(target_nat, step.student(step.images), 1e-5)
  losses = [nat.item(), adv.item()]
  step.start = step.start or losses
  relative = [now / first for now, first in zip(losses, step.start)]
  step.weight = 0.025 * relative[0] / sum(relative) + 0.975 * step.weight
  return step.weight * nat + (1 - step.weight) * adv


def mmard(step):
  teacher = step.teachers['robust']
  x = step.attack(lambda x: divergence(teacher(x), step.student(x)))
  with torch.no_grad():
    targets = [teacher(x), teacher(step.images)]
  logits = [step.student(x), step.student(step.images)]
  label = F.one_hot(step.labels, targets[0].shape[1]).float()

  def angle(adv, nat):
    sides = (F.softmax(z.float(), 1) - label for z in (adv, nat))
    return F.cosine_similarity(*sides, dim=1)

  triangle = F.huber_loss(angle(*logits), angle(*targets))
  return 0.1 * divergence(targets[0], logits[0]) + triangle


METHODS = {
  'natural': natural,
  'sat': sat,
  'ffgsm': ffgsm,
  'trades': trades,
  'mart': mart,
  'ckd': ckd,
  'ard': ard,
  'iad_1': iad_1,
  'iad_2': iad_2,
  'rslad': rslad,
  'adaad': adaad,
  'mtard': mtard,
  'mmard': mmard,
  'akd': akd,
}
