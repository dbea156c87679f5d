"""The one place where HDF5 is written.

Files follow the netCDF-4 conventions for dimensions, so that plain
``xarray.open_dataset(path, engine="h5netcdf", group=...)`` shows named dimensions, coordinates
and units. The structure of a growing table is created and flushed first; after that, rows are
only appended, in blocks, which is what leaves a file readable when the process is killed.
"""

from devices.hdf5.attributes import attribute, read_attributes
from devices.hdf5.bundle import Bundle, read_bundle
from devices.hdf5.column import BLOCK_ROWS, Column
from devices.hdf5.file import SCHEMA, RecordFile, recover, schema_of
from devices.hdf5.group import RecordGroup
from devices.hdf5.rows import BLOCK_SECONDS, RowLog
from devices.hdf5.session import RecordFull, StructureError
from devices.hdf5.tables import Table, physical, tables, valid_rows
from devices.hdf5.undo import check_undone
from devices.hdf5.whole import whole_file

__all__ = [
    "BLOCK_ROWS",
    "BLOCK_SECONDS",
    "SCHEMA",
    "Bundle",
    "Column",
    "RecordFile",
    "RecordFull",
    "RecordGroup",
    "RowLog",
    "StructureError",
    "Table",
    "attribute",
    "check_undone",
    "physical",
    "read_attributes",
    "read_bundle",
    "recover",
    "schema_of",
    "tables",
    "valid_rows",
    "whole_file",
]
