-- What bodies of a type have in common: zstd dictionaries (storage/dictionary.rs).
-- Bodies name theirs, so that none of them may go.
CREATE TABLE dictionary (
    id    INTEGER NOT NULL PRIMARY KEY, -- CRC-32 of the bytes
    type  INTEGER NOT NULL,             -- TypeCode
    bytes BLOB    NOT NULL
) STRICT;
