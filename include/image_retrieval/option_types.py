"""Types of values in collections.yaml that several of its parts have."""

from typing import Annotated, Literal

from pydantic import Field

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,23}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Dtype = Literal["auto", "float32", "float16", "bfloat16"]
