-- The definitions of installed packages that are stored as resources: see
-- fhir-server/src/interaction/publish.rs. A resource at another version was
-- changed by somebody, and is no longer the package's.
CREATE TABLE package_definition (
    key     INTEGER NOT NULL PRIMARY KEY, -- of the resource
    version INTEGER NOT NULL
) STRICT;
