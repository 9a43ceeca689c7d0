-- The app's own tables, as the examples use them. The columns that the rank needs are marked: with them a worse version of an
-- answer never replaces a better one, whichever process writes last.
CREATE TABLE conversations (
  id text PRIMARY KEY,
  title text
);

CREATE TABLE messages (
  id text PRIMARY KEY,             -- message.id: saving again does no harm
  stream_id text NOT NULL,         -- rank: message.streamId, whose row this is
  revision integer NOT NULL,       -- rank: message.revision
  complete boolean NOT NULL,       -- rank: message.complete
  content text NOT NULL,           -- rank: message.text, by its length
  conversation_id text NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  role text NOT NULL,
  outcome text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX ON messages (conversation_id, created_at);
