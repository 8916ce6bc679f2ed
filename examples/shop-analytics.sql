-- The tables that shop-analytics.yaml writes to.
CREATE SCHEMA analytics;
CREATE TABLE analytics.customer (
  customer_id bigint PRIMARY KEY,
  mail_hash text NOT NULL,
  country char(2),
  kind text NOT NULL
);
CREATE TABLE analytics.sale (
  sale_id bigint PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES analytics.customer,
  sold_at timestamptz NOT NULL,
  total_cents bigint NOT NULL,
  status text NOT NULL
);
