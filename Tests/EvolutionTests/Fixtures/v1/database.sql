BEGIN TRANSACTION;
CREATE TABLE drain_orders (
  id INTEGER PRIMARY KEY,
  runner_id INTEGER NOT NULL,
  terms_id INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 1,
  deliveries INTEGER NOT NULL DEFAULT 0,
  delivered_at_ms INTEGER,
  acked_at_ms INTEGER,
  ended_at_ms INTEGER
) STRICT;
INSERT INTO "drain_orders" VALUES(1,1,1,3,1,1795524397240,1795524397240,NULL);
INSERT INTO "drain_orders" VALUES(2,2,1,4,1,1795524397240,1795524397240,1795524397242);
CREATE TABLE drain_terms (
  id INTEGER PRIMARY KEY,
  pool_id INTEGER NOT NULL REFERENCES pools (id),
  cause INTEGER NOT NULL,
  reason TEXT NOT NULL,
  target_version INTEGER,
  uid INTEGER NOT NULL, gid INTEGER NOT NULL, pid INTEGER NOT NULL, program TEXT NOT NULL,
  ordered_at_ms INTEGER NOT NULL,
  ordered_ns INTEGER NOT NULL,
  grace_ms INTEGER NOT NULL,
  deadline_ns INTEGER NOT NULL
) STRICT;
INSERT INTO "drain_terms" VALUES(1,1,1,'version 2 is the target of default/mail',2,0,0,8357,'baton',1795524397234,36521108208141,30000,36551108208141);
CREATE TABLE events (
  revision INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  pool_id INTEGER,
  namespace_id INTEGER,
  runner_id INTEGER,
  drain_order_id INTEGER,
  version INTEGER,
  detail TEXT,
  uid INTEGER, gid INTEGER, pid INTEGER, program TEXT
) STRICT;
INSERT INTO "events" VALUES(1,1795524397082,1,NULL,2,NULL,NULL,NULL,NULL,0,0,8281,'baton');
INSERT INTO "events" VALUES(2,1795524397088,2,1,NULL,NULL,NULL,NULL,'created',0,0,8287,'baton');
INSERT INTO "events" VALUES(3,1795524397206,2,2,NULL,NULL,NULL,NULL,'created',0,0,8293,'python3');
INSERT INTO "events" VALUES(4,1795524397220,5,1,NULL,1,NULL,1,'config=found upgrade=none_older ordered=0 self=ready target=1',0,0,8336,'baton');
INSERT INTO "events" VALUES(5,1795524397220,4,1,NULL,1,NULL,1,'first',0,0,8336,'baton');
INSERT INTO "events" VALUES(6,1795524397222,5,1,NULL,2,NULL,1,'config=found upgrade=none_older ordered=0 self=ready target=1',0,0,8335,'baton');
INSERT INTO "events" VALUES(7,1795524397234,5,1,NULL,3,NULL,2,'config=found upgrade=applied ordered=2 self=ready target=2',0,0,8357,'baton');
INSERT INTO "events" VALUES(8,1795524397234,4,1,NULL,3,NULL,2,'promoted, was 1',0,0,8357,'baton');
INSERT INTO "events" VALUES(9,1795524397234,12,1,NULL,1,1,1,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(10,1795524397234,12,1,NULL,2,2,1,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(11,1795524397240,13,1,NULL,1,1,1,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(12,1795524397240,13,1,NULL,2,2,1,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(13,1795524397240,14,1,NULL,1,1,1,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(14,1795524397240,14,1,NULL,2,2,1,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(15,1795524397242,10,1,NULL,2,2,1,'detached exit_code=143 the program ended with 143',NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(16,1795524397242,15,1,NULL,2,2,1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE fleet (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  fleet_id INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  last_revision INTEGER NOT NULL,
  last_runner INTEGER NOT NULL,
  last_order INTEGER NOT NULL,
  last_attachment INTEGER NOT NULL,
  ended_runners INTEGER NOT NULL
) STRICT;
INSERT INTO "fleet" VALUES(1,-1100800630680598581,'the-kept-boot',16,3,2,3,1);
CREATE TABLE namespaces (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO "namespaces" VALUES(1,'default',1795524397074);
INSERT INTO "namespaces" VALUES(2,'staging',1795524397082);
CREATE TABLE pool_versions (
  pool_id INTEGER NOT NULL REFERENCES pools (id),
  version INTEGER NOT NULL,
  ready INTEGER NOT NULL,
  ready_attached INTEGER NOT NULL,
  ready_attached_authorized INTEGER NOT NULL,
  ready_slots INTEGER NOT NULL,
  draining INTEGER NOT NULL,
  draining_attached INTEGER NOT NULL,
  PRIMARY KEY (pool_id, version)
) STRICT, WITHOUT ROWID;
INSERT INTO "pool_versions" VALUES(1,1,0,0,0,0,1,1);
INSERT INTO "pool_versions" VALUES(1,2,1,1,1,4,0,0);
CREATE TABLE pools (
  id INTEGER PRIMARY KEY,
  namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
  name TEXT NOT NULL,
  kind INTEGER CHECK (kind IN (1, 2)),
  drain_on_version_upgrade INTEGER,
  grace_ms INTEGER NOT NULL DEFAULT 0,
  config_metadata BLOB,
  config_encoded BLOB,
  owner_uid INTEGER,
  target_change_id INTEGER REFERENCES target_changes (id),
  UNIQUE (namespace_id, name)
) STRICT;
INSERT INTO "pools" VALUES(1,1,'mail',1,1,30000,NULL,X'0A06080110B0EA01',0,2);
INSERT INTO "pools" VALUES(2,2,'web',1,1,60000,X'047465616D0004706F7374',X'0A09080110E0D403A038071A0C0A047465616D1204706F7374AA3808746F6D6F72726F77',NULL,NULL);
CREATE TABLE runners (
  id INTEGER PRIMARY KEY,
  pool_id INTEGER NOT NULL,
  key TEXT,
  version INTEGER NOT NULL,
  phase INTEGER NOT NULL,
  link INTEGER,
  silent INTEGER NOT NULL DEFAULT 0,
  authorized INTEGER NOT NULL,
  total_slots INTEGER NOT NULL,
  attachment INTEGER NOT NULL,
  ends_with_process INTEGER NOT NULL,
  uid INTEGER NOT NULL, gid INTEGER NOT NULL, pid INTEGER NOT NULL, program TEXT NOT NULL,
  token_high INTEGER NOT NULL,
  token_low INTEGER NOT NULL,
  registered_at_ms INTEGER NOT NULL,
  link_changed_at_ms INTEGER NOT NULL,
  metadata BLOB,
  ended_at_ms INTEGER,
  end_cause INTEGER,
  drain_order_id INTEGER,
  exit_code INTEGER,
  detach_reason TEXT
) STRICT;
INSERT INTO "runners" VALUES(1,1,'b',1,2,1,0,1,4,1,1,0,0,8336,'baton',7183962951652757268,-5896720445115763472,1795524397220,1795524397220,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runners" VALUES(2,1,'a',1,3,NULL,0,1,4,2,1,0,0,8335,'baton',8966201399028359542,8330589432415091725,1795524397222,1795524397222,NULL,1795524397242,1,2,143,'the program ended with 143');
INSERT INTO "runners" VALUES(3,1,'c',2,1,1,0,1,4,3,1,0,0,8357,'baton',-5041357395414190920,7840630701109985433,1795524397234,1795524397234,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE target_changes (
  id INTEGER PRIMARY KEY,
  pool_id INTEGER NOT NULL REFERENCES pools (id),
  version INTEGER NOT NULL,
  previous_version INTEGER,
  cause INTEGER NOT NULL,
  runner_id INTEGER,
  uid INTEGER NOT NULL, gid INTEGER NOT NULL, pid INTEGER NOT NULL, program TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO "target_changes" VALUES(1,1,1,NULL,1,1,0,0,8336,'baton',1795524397220);
INSERT INTO "target_changes" VALUES(2,1,2,1,2,3,0,0,8357,'baton',1795524397234);
CREATE INDEX target_changes_of_pool ON target_changes (pool_id);
CREATE INDEX runners_ready ON runners (pool_id, version) WHERE phase = 1;
CREATE UNIQUE INDEX runners_key ON runners (pool_id, key) WHERE phase = 1 AND key IS NOT NULL;
CREATE INDEX runners_living_token ON runners (token_high) WHERE ended_at_ms IS NULL;
CREATE INDEX runners_ended_token ON runners (token_high) WHERE ended_at_ms IS NOT NULL;
CREATE UNIQUE INDEX drain_orders_open ON drain_orders (runner_id) WHERE state <= 3;
COMMIT;
PRAGMA application_id = 1113683054;
PRAGMA user_version = 1;
