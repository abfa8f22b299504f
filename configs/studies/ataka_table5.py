"""AT-AKA, Table 5: one to four teachers, ResNet-18 and MobileNetV2.

Run:       python launch/compare.py --study=configs/studies/ataka_table5.py \\
             --workdir=runs/ataka_table5 --data_dir=...
Paper:     ResNet-18, CIFAR-10, PGD_trades: 51.09, 58.32, 64.20, 64.33 for n = 1 to 4
CIFAR-100: `at_aka.py:cifar100,...` in each row; its teachers are WRN-70-16
"""

ROWS = {
  f'(S)AT-AKA {number} {width} {student}': f'at_aka.py:cifar10,{student},n{number},{width}'
  for student in ('resnet18', 'mobilenet_v2')
  for width in ('paper', 'coupled')
  for number in (1, 2, 3, 4)
}
