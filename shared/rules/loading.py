"""Reading of data files: strict YAML, and faults that name the file, the row and the remedy."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from shared.errors import Permanent


class DataFileError(Permanent):
    """A data file cannot be used: which file, which row, what is wrong, what to do."""

    def __init__(self, file: str, row: str, fault: str, remedy: str) -> None:
        """Keep the four parts; `row` is empty where the whole file is meant."""
        place = f"{file}, {row}" if row else file
        super().__init__(f"{place}: {fault}. Remedy: {remedy}.")
        self.file = file
        self.row = row
        self.fault = fault
        self.remedy = remedy


class StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key written twice; plain YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # refused below
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping that the YAML file holds. Raises `DataFileError`."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise DataFileError(path.name, "", f"cannot be read ({error.strerror})", "put the file in place") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataFileError(path.name, "", f"is not YAML: {error}", "correct the named line") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise DataFileError(path.name, "", "is not a mapping of names to values", "begin with `name: value` lines")
    return content
