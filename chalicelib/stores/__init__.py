"""What is kept: tables, the narrow table port with its two engines, a file per kind of record."""
