"""Packaging: `pip install .`, with extras for accelerators, PyTorch files and tests."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (HERE / 'jaxrkd/__init__.py').read_text())[1]

setup(
  name='jaxrkd',
  version=VERSION,
  description='Robust knowledge distillation and robustness evaluation in JAX',
  long_description=(HERE / 'README.md').read_text(),
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  packages=find_packages(include=['jaxrkd', 'jaxrkd.*']),
  package_data={'jaxrkd': ['py.typed']},
  python_requires='>=3.11,<3.14',
  install_requires=[
    'absl-py>=2.1',
    # jax needs it to write programs down (StableHLO) and forgets to say so.
    'flatbuffers>=24.3',
    'flax>=0.12,<0.14',
    'grain>=0.2.12,<0.3',
    # tensorflow-datasets needs it and forgets to say so.
    'importlib_resources>=6',
    'jax>=0.10,<0.13',
    'matplotlib>=3.9',
    'ml_collections>=1.0',
    'ml_dtypes>=0.5',
    'numpy>=2.0',
    'optax>=0.2.6,<0.4',
    'orbax-checkpoint>=0.11.30,<1.0',
    'safetensors>=0.5',
    'scikit-learn>=1.5',
    'scipy>=1.13',
    'tensorboardX>=2.6.2',
    'tensorflow-datasets>=4.9.9,<5',
    'tqdm>=4.66',
  ],
  extras_require={
    'cuda12': ['jax[cuda12]>=0.10,<0.13'],
    'cuda13': ['jax[cuda13]>=0.10,<0.13'],
    'tpu': ['jax[tpu]>=0.10,<0.13'],
    # Formats of exports; see docs/networks.md.
    'torch': ['torch>=2.6'],
    'onnx': ['torch>=2.6', 'onnx>=1.17', 'onnxscript>=0.5', 'onnxruntime>=1.20'],
    'tflite': ['ai-edge-litert>=2.1', 'litert-converter>=0.5'],
    'test': [
      'ai-edge-litert>=2.1',
      'chex>=0.1.90',
      'mypy>=1.13',
      'onnx>=1.17',
      'onnxruntime>=1.20',
      'onnxscript>=0.5',
      'pytest>=8.3',
      'pytest-xdist>=3.6',
      'ruff>=0.9',
      'torch>=2.6',
    ],
  },
)
