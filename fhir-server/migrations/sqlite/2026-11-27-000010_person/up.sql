-- What is compared of each Patient to tell who is the same person: see
-- fhir-server/src/identity. Who is looked at is found by rows of `equal`.
CREATE TABLE person (
    key      INTEGER NOT NULL PRIMARY KEY, -- of the Patient
    features BLOB    NOT NULL              -- identity/features.rs
) STRICT;

-- How many Patients have a name: what is common says little.
CREATE TABLE name_count (
    hash INTEGER NOT NULL PRIMARY KEY, -- NameHash
    live INTEGER NOT NULL
) STRICT;
