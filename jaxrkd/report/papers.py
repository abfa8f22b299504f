"""The papers that studies name by an acronym, as they are cited."""

CITED = {
  'MTARD': 'Zhao, Yu, Sun, Zhang and Wei: Enhanced Accuracy and Robustness via Multi-Teacher '
  'Adversarial Distillation. ECCV 2022.',
  'MMARD': 'Wang, Chen, Yang, Wang and Qi: MMARD: Improving the Min-Max Optimization Process in '
  'Adversarial Robustness Distillation.',
  'AKD': 'Maroto, Ortiz-Jiménez and Frossard: On the benefits of knowledge distillation for '
  'adversarial robustness.',
  'AT-AKA': 'Mohajer Hamidi and Ye: Adversarial Training via Adaptive Knowledge Amalgamation of '
  'an Ensemble of Teachers.',
}
