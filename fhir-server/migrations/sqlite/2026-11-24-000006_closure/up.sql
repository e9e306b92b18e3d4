-- The closure tables that clients keep by `$closure`: see fhir-server/src/operation/closure.rs.
CREATE TABLE closure (
    id      INTEGER NOT NULL PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    version INTEGER NOT NULL -- how often something was added
) STRICT;

CREATE TABLE closure_concept (
    closure        INTEGER NOT NULL,
    position       INTEGER NOT NULL, -- 0 for the first that was added
    system         TEXT    NOT NULL,
    system_version TEXT    NOT NULL, -- '' for none
    code           TEXT    NOT NULL,
    PRIMARY KEY (closure, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE closure_relation (
    closure     INTEGER NOT NULL,
    added       INTEGER NOT NULL, -- the version of the table with which it came
    source      INTEGER NOT NULL, -- positions of concepts
    target      INTEGER NOT NULL,
    equivalence TEXT    NOT NULL, -- of the target, as seen from the source
    PRIMARY KEY (closure, added, source, target)
) STRICT, WITHOUT ROWID;
