"""HDF5 files, read and written without the HDF5 library (HDF5 File Format Specification, version 3.0)."""

from cnnfast.interop.hdf5.contents import Contents, opened_hdf5
from cnnfast.interop.hdf5.writer import Group, hdf5_bytes

__all__ = ["Contents", "Group", "hdf5_bytes", "opened_hdf5"]
