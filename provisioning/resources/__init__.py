"""Desired state, one small frozen class for each kind of thing: `probe` looks, `diff` compares, `apply` mends."""

from provisioning.resources.base import Difference, Resource, Tell
from provisioning.resources.files import Directory, File
from provisioning.resources.packages import Packages
from provisioning.resources.product import Product
from provisioning.resources.program import Program
from provisioning.resources.system import Account, DefaultCompiler

__all__ = [
    "Account",
    "DefaultCompiler",
    "Difference",
    "Directory",
    "File",
    "Packages",
    "Product",
    "Program",
    "Resource",
    "Tell",
]
