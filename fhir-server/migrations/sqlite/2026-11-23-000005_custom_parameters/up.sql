-- The SearchParameter resources that define parameters of their own, and what
-- the index holds for them: see fhir-server/src/search/custom.rs.
CREATE TABLE search_parameter (
    key       INTEGER NOT NULL PRIMARY KEY, -- of the SearchParameter
    signature INTEGER NOT NULL,             -- what it takes from resources; 0 when it is not active
    requested INTEGER NOT NULL,             -- since when the index is to hold that
    indexed   INTEGER NOT NULL              -- 0 or 1: whether it holds it for all resources
) STRICT;

-- The types whose older resources are to be indexed anew.
CREATE TABLE reindex (
    type      INTEGER NOT NULL PRIMARY KEY, -- TypeCode
    requested INTEGER NOT NULL,
    position  INTEGER NOT NULL              -- resources up to this key are done
) STRICT;
