"""Test process: keeps states of shipped objects: equal states are one number, and each step from one is taken once.

A search meets the same poller beside thousands of states of the broker and the handlers. The shipped code is pure, so
what a step makes of a state is computed once and remembered; a state of the world is then a small tuple of numbers.
"""

from __future__ import annotations

import dataclasses
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

#: How a value of one type is copied: itself and what is copied already give the copy.
Copier = Callable[[Any, dict[int, Any]], Any]
#: How a value of one type is told as plain tuples: itself and the objects met already, by id.
Teller = Callable[[Any, dict[int, int]], Any]

_PLAIN = (int, float, str, bytes, Enum, type(None), types.FunctionType)


class States:
    """The states of one kind of object. `shared`: types that are never changed, or that nobody reads; `ignored`:
    attributes by type that decide nothing and are left out of the comparison.
    """

    def __init__(
        self,
        *,
        shared: tuple[type, ...] = (),
        ignored: Mapping[type, set[str]] | None = None,
        copiers: Mapping[type, Copier] | None = None,
        tellers: Mapping[type, Teller] | None = None,
    ) -> None:
        self._shared = (*shared, *_PLAIN)
        self._plain: set[type] = set()  #: types met so far whose values are their own copies
        self._ignored = dict(ignored or {})
        self._copiers: dict[type, Copier] = dict(copiers or {})
        self._tellers: dict[type, Teller] = dict(tellers or {})
        self._special = set(self._tellers)
        self._values: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._taken: dict[tuple[Any, ...], tuple[int, Any]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, number: int) -> Any:
        """The state itself, to be read only."""
        return self._values[number]

    def number(self, value: Any) -> int:
        """The number of a state; the first of equal ones is kept."""
        told = self._tell(value, {})
        known = self._numbers.get(told)
        if known is None:
            known = self._numbers[told] = len(self._values)
            self._values.append(value)
        return known

    def after(self, number: int, step: Callable[..., Any], *args: Any) -> tuple[int, Any]:
        """The number of the state after a step, and what the step gave back."""
        key = (number, step, *args)
        taken = self._taken.get(key)
        if taken is None:
            value = self._copy(self._values[number], {})
            given = step(value, *args)
            taken = self._taken[key] = (self.number(value), given)
        return taken

    # --- copying

    def _copy(self, value: Any, copies: dict[int, Any]) -> Any:
        kind = type(value)
        copier = self._copiers.get(kind)
        if copier is None:
            copier = self._copiers[kind] = self._copier(kind)
        return copier(value, copies)

    def _copier(self, kind: type) -> Copier:
        if issubclass(kind, self._shared):
            self._plain.add(kind)
            return lambda value, _copies: value
        if issubclass(kind, dict | OrderedDict):
            return self._copy_dict
        if issubclass(kind, set | frozenset):
            return lambda value, _copies: kind(value)
        if issubclass(kind, tuple):
            return self._copy_named if hasattr(kind, "_fields") else self._copy_tuple
        if issubclass(kind, list | deque):
            return self._copy_list
        if kind is types.MethodType:
            return lambda value, copies: types.MethodType(value.__func__, self._copy(value.__self__, copies))
        return self._object_copier(kind)

    def _object_copier(self, kind: type) -> Copier:
        names, put, copy, plain = _attributes(kind), object.__setattr__, self._copy, self._plain

        def copy_object(value: Any, copies: dict[int, Any]) -> Any:
            known = copies.get(id(value))
            if known is None:
                known = copies[id(value)] = object.__new__(kind)
                for name in names if names is not None else vars(value):
                    item = getattr(value, name)
                    put(known, name, item if type(item) in plain else copy(item, copies))
            return known

        return copy_object

    def _copy_dict(self, value: Any, copies: dict[int, Any]) -> Any:
        known = copies.get(id(value))
        if known is None:
            known = copies[id(value)] = type(value)()
            for key, item in value.items():
                known[key] = item if type(item) in self._plain else self._copy(item, copies)
        return known

    def _copy_list(self, value: Any, copies: dict[int, Any]) -> Any:
        known = copies.get(id(value))
        if known is None:
            known = copies[id(value)] = type(value)()
            for item in value:
                known.append(item if type(item) in self._plain else self._copy(item, copies))
        return known

    def _copy_tuple(self, value: Any, copies: dict[int, Any]) -> Any:
        return tuple([self._copy(item, copies) for item in value])

    def _copy_named(self, value: Any, copies: dict[int, Any]) -> Any:
        return type(value)(*[self._copy(item, copies) for item in value])

    # --- comparing

    def _tell(self, value: Any, met: dict[int, int]) -> Any:
        kind = type(value)
        teller = self._tellers.get(kind)
        if teller is None:
            teller = self._tellers[kind] = self._teller(kind)
        return teller(value, met)

    def _teller(self, kind: type) -> Teller:
        if issubclass(kind, self._shared):
            return lambda value, _met: value
        tell = self._tell
        if issubclass(kind, dict | OrderedDict):
            return lambda value, met: tuple([(key, tell(item, met)) for key, item in value.items()])
        if issubclass(kind, set | frozenset):
            return lambda value, _met: tuple(sorted(value))
        if issubclass(kind, tuple | list | deque):
            return lambda value, met: tuple([tell(item, met) for item in value])
        if kind is types.MethodType:
            return lambda value, met: (value.__name__, tell(value.__self__, met))
        return self._object_teller(kind)

    def _object_teller(self, kind: type) -> Teller:
        ignored = self._ignored.get(kind, set())
        names = _attributes(kind)
        kept = None if names is None else tuple(name for name in names if name not in ignored)
        # A type may be plain, and yet have a teller of its own: then what it tells is less than its whole value.
        tell, plain = self._tell, self._plain

        def tell_object(value: Any, met: dict[int, int]) -> Any:
            known = met.get(id(value))
            if known is not None:
                return known
            met[id(value)] = len(met)
            told = []
            for name in kept if kept is not None else vars(value):
                if kept is None and name in ignored:
                    continue
                item = getattr(value, name)
                kind = type(item)
                told.append(item if kind in plain and kind not in self._special else tell(item, met))
            return tuple(told)

        return tell_object


def _attributes(kind: type) -> tuple[str, ...] | None:
    """The names of its slots, or None where each object has a dict."""
    if dataclasses.is_dataclass(kind) and hasattr(kind, "__slots__"):
        return tuple(one.name for one in dataclasses.fields(kind))
    slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
    return tuple(slots) if slots else None
