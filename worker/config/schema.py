"""Command line: what a key of a config file is. Validation, the hints for typos and docs/configuration.md use it.

The keys themselves stand in worker_keys.py and queue_keys.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any

from worker.settings import (
    BatchSettings,
    CloudWatchSettings,
    QueueSettings,
    RecycleSettings,
    RetrySettings,
    Settings,
)

#: The settings that tables become.
InnerSettings = type[RetrySettings] | type[RecycleSettings] | type[BatchSettings] | type[CloudWatchSettings]
AnySettings = type[Settings] | type[QueueSettings] | InnerSettings


class Type(Enum):
    """What a key's value is; the value is how a complaint and the documentation call it."""

    TEXT = "text"
    TEXTS = "list of texts"
    SECONDS = "seconds"
    WHOLE_SECONDS = "whole seconds"
    NUMBER = "whole number"
    SWITCH = "true or false"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a table."""

    name: str
    type: Type
    meaning: str  #: for the documentation
    example: str  #: as written in TOML
    shape: Callable[[str], str] | None = None  #: TEXT, and each of TEXTS: a complaint about the text, or ""
    choices: tuple[str, ...] = ()  #: TEXT: the texts allowed, in lower case; the file may write them in any case
    least: float | None = None
    most: float | None = None
    above: float | None = None  #: must be more than this
    default: str = ""  #: as the documentation says it, where the settings' own default does not tell
    field: str = ""  #: its name in the settings, where it is another one

    @property
    def setting(self) -> str:
        """The field of the settings that this key fills."""
        return self.field or self.name


def default(key: Key, settings: AnySettings) -> Any:
    """The default of a key as its settings class has it; None where there is none to show."""
    for field in dataclasses.fields(settings):
        if field.name == key.setting and field.default is not dataclasses.MISSING:
            return field.default
    return None
