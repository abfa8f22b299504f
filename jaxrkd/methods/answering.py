"""Teachers as people bring them: what is missing is said, what can be mended is."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxrkd.errors import InputError, nearest

Array = jax.Array


class Answering(dict):
  """By role a function (images, temperature) -> logits; an absent role is named."""

  def __missing__(self, role: str) -> Any:
    raise InputError(_missing(role, self))


def answering(teachers: Mapping[str, Any], roles: Sequence[str]) -> Answering:
  """The teachers of a method, every role present and asked in the same way.

  Args:
    teachers: by role functions of images to logits, with or without a temperature.
    roles: those that will be asked.

  Raises:
    InputError: no such mapping, a role is missing, or a teacher is no function.
  """
  if isinstance(teachers, Answering):
    return teachers
  if not isinstance(teachers, Mapping):
    raise InputError(
      f'teachers are a {type(teachers).__name__}; give a dictionary from role to function, '
      "such as {'robust': logits_fn}"
    )
  for role in roles:
    if role not in teachers:
      raise InputError(_missing(role, teachers))
  return Answering({role: _teacher(role, f) for role, f in teachers.items()})


def _missing(role: str, teachers: Mapping[str, Any]) -> str:
  known = ', '.join(map(repr, teachers)) or 'none'
  return (
    f'no teacher answers as {role!r}{nearest(role, teachers)} (there: {known}); add one, '
    f'teachers={{{role!r}: logits_fn}}, or name another role in the method'
  )


def _teacher(role: str, teacher: Any) -> Callable[..., Array]:
  if not callable(teacher):
    raise InputError(
      f'the teacher that answers as {role!r} is a {type(teacher).__name__}; give a function '
      'from images to logits, such as net.logits_fn(params, stats)'
    )
  try:
    inspect.signature(teacher).bind(0, 1.0)
  except TypeError:
    return lambda images, temperature=1.0: teacher(images) / temperature
  except ValueError:
    pass  # built in: only a call can tell
  return teacher


def at_the_door(function: Callable[..., Any], place: int, roles: Callable[[], Any]):
  """The same function, with `answering` in the place of the teachers it is given.

  Args:
    function: of a method.
    place: of the teachers among its arguments.
    roles: () -> those that it asks.
  """

  @functools.wraps(function)
  def checked(*arguments: Any) -> Any:
    given = list(arguments)
    given[place] = answering(given[place], roles())
    return function(*given)

  return checked
