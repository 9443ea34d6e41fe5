-- Small contents of artifacts and prompts, by hash; larger ones are files. A row is written in the
-- transaction whose facts name it, so it needs no flush of its own.
CREATE TABLE contents (
    sha256 TEXT NOT NULL PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;
