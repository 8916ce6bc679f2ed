-- The target of music-store.yaml: people and sales, as a CRM wants them.
CREATE TABLE person (
  person_id bigint PRIMARY KEY,
  full_name text NOT NULL,
  given_name text NOT NULL,
  family_name text NOT NULL,
  initials varchar(8) NOT NULL,
  mail_user text NOT NULL,
  mail_domain text NOT NULL,
  postal_address text NOT NULL,
  organisation text,
  kind text NOT NULL CHECK (kind IN ('person', 'organisation'))
);

CREATE TABLE sale (
  sale_id bigint PRIMARY KEY,
  person_id bigint NOT NULL REFERENCES person,
  sold_on date NOT NULL,
  total_cents integer NOT NULL,
  country char(2),
  lines jsonb NOT NULL
);
