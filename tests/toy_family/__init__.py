"""A family of networks that the library does not know, and all that it takes to add it."""

from sdt_lava.families.registry import register
from tests.toy_family.family import TOY

register(TOY)
