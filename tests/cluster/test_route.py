"""`pgweir route` against a real database: what hides writes from those who look at the text only."""
import subprocess

import pytest
from harness.postgres import PASSWORDS
from harness.processes import IDENTITY

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

SCHEMA = """
create schema shop;
set search_path = shop;
create table item (id int primary key, name text, price numeric);
insert into item values (1, 'pen', 2), (2, 'ink', 5);
create table visit (who text, at timestamptz default now());
create unlogged table basket (id int);
create sequence ticket;
create table region (id int) partition by list (id);
create table region_1 partition of region for values in (1);
create unlogged table region_2 partition of region for values in (2);
create function visited(who text) returns boolean language plpgsql as
    $$ begin insert into shop.visit values (who); return true; end $$;
create function price_of(id int) returns numeric language sql stable as
    $$ select price from shop.item i where i.id = price_of.id $$;
create function owner_of(i item) returns text language plpgsql as
    $$ begin perform shop.visited(i.name); return 'us'; end $$;
create function label(i item) returns text language sql stable as $$ select i.name || '!' $$;
create function add_visit(state int, id int) returns int language plpgsql as
    $$ begin perform shop.visited('sum'); return state + id; end $$;
create aggregate visits(int) (sfunc = add_visit, stype = int, initcond = '0');
create aggregate total(numeric) (sfunc = numeric_add, stype = numeric, initcond = '0');
create function same(a int, b int) returns boolean language plpgsql as
    $$ begin return shop.visited('same') and a = b; end $$;
create operator === (leftarg = int, rightarg = int, function = same);
create function alike(a int, b int) returns boolean language sql immutable as $$ select a = b $$;
create operator ~== (leftarg = int, rightarg = int, function = alike);
create function checked(id int) returns boolean language plpgsql as
    $$ begin return shop.visited('checked'); end $$;
create domain article as int check (checked(value));
create domain amount as int check (value > 0);
create type code as (id int);
create function to_code(id int) returns code language plpgsql as
    $$ begin perform shop.visited('code'); return row(id)::shop.code; end $$;
create cast (int as code) with function to_code(int);
create view cheap as select id, name from item where price < price_of(2);
create view watched as select id, visited('view') as seen from item;
create view over_watched as select id from watched;
create view tickets as select nextval('shop.ticket') as number;
create view by_operator as select id from item where id === 1;
create view by_cast as select (id::code).id from item;
create view by_domain as select id::article as id from item;
create view by_aggregate as select visits(id) as sum from item;
create view locked as select id from item for update;
create view baskets as select * from basket;
create view sessions as select pid from pg_stat_activity;
create table secret (id int);
insert into secret values (1);
alter table secret enable row level security;
create policy seen on secret for select to app using (visited('policy'));
create function public.upper(varchar) returns text language plpgsql as
    $$ begin perform shop.visited('upper'); return 'X'; end $$;
grant usage on schema shop to app;
grant select on all tables in schema shop to app;
"""

CASES = [  # statement, what is printed
    ("select * from shop.item where id = 1", "replica: read"),
    ("select shop.price_of(1), shop.total(price), lower(name) from shop.item group by name", "replica: read"),
    ("select (i).label, i.label from shop.item i", "replica: read"),
    ("select 1 operator(shop.~==) 1, 5::shop.amount, row(1)::shop.code", "primary: type_volatile (shop.code)"),
    ("select 1 operator(shop.~==) 1, 5::shop.amount", "replica: read"),
    ("select * from shop.cheap", "replica: read"),
    ("select * from shop.region_1", "replica: read"),
    ("with item as (select 1 as id) select * from item", "replica: read"),
    ("select count(*) from pg_class c join information_schema.tables t on t.table_name = c.relname",
     "replica: read"),
    ("select shop.visited('x')", "primary: function_volatile (shop.visited)"),
    ("select case when shop.visited('x') then 1 end", "primary: function_volatile (shop.visited)"),
    ("select i.owner_of from shop.item i", "primary: attribute (owner_of)"),
    ("select (i).owner_of from shop.item i", "primary: attribute (owner_of)"),
    ("select shop.visits(id) from shop.item", "primary: function_volatile (shop.visits)"),
    ("select 1 operator(shop.===) 1", "primary: operator_volatile (shop.===)"),
    ("select 5::shop.article", "primary: type_volatile (shop.article)"),
    ("select '{5}'::shop.article[]", "primary: type_volatile (shop.article)"),
    ("select 5::shop.code", "primary: type_volatile (shop.code)"),
    ("select shop.article(5)", "primary: type_volatile (shop.article)"),
    ("select id from shop.watched", "primary: view_writes (shop.watched)"),
    ("select id from shop.over_watched", "primary: view_writes (shop.over_watched)"),
    ("select * from shop.tickets", "primary: view_writes (shop.tickets)"),
    ("select * from shop.by_operator", "primary: view_writes (shop.by_operator)"),
    ("select * from shop.by_cast", "primary: view_writes (shop.by_cast)"),
    ("select * from shop.by_domain", "primary: view_writes (shop.by_domain)"),
    ("select * from shop.by_aggregate", "primary: view_writes (shop.by_aggregate)"),
    ("select * from shop.locked", "primary: view_writes (shop.locked)"),
    ("select * from shop.secret", "primary: policy_writes (shop.secret)"),
    ("select * from shop.basket", "primary: relation_unlogged (shop.basket)"),
    ("select * from shop.baskets", "primary: relation_unlogged (shop.baskets)"),
    ("select * from shop.region", "primary: relation_unlogged (shop.region)"),
    ("select last_value from shop.ticket", "primary: sequence (shop.ticket)"),
    ("select * from shop.sessions", "primary: function_node (shop.sessions)"),
    ("select upper(name) from shop.item", "primary: function_volatile (upper)"),
    ("select pg_catalog.upper(name) from shop.item", "replica: read"),
    ("select * from nosuch", "primary: relation_unknown (nosuch)"),
    ("select 1; begin; delete from shop.item; commit",
     "replica: read\ntransaction: transaction\nprimary: write (DELETE)\ntransaction: transaction"),
]


@pytest.fixture(scope="module")
def shop(cluster):
    """A database of its own with the schema above."""
    with cluster.primary.connect() as connection:
        connection.execute("create database route_shop")
    with cluster.primary.connect(dbname="route_shop") as connection:
        connection.execute(SCHEMA)
    yield "route_shop"
    with cluster.primary.connect() as connection:
        connection.execute("drop database route_shop with (force)")


def route(proxy, *arguments):
    """What `pgweir route` prints, when all is well."""
    done = subprocess.run([proxy.program, "route", *arguments], check=False, capture_output=True, text=True,
                          timeout=60, cwd=proxy.directory, stdin=subprocess.DEVNULL, **IDENTITY)
    assert done.returncode == 0, done
    return done.stdout.removesuffix("\n")


def toml_for(proxy, cluster, reads=""):
    """A configuration whose first node is a replica: any copy of the catalog will do."""
    nodes = ", ".join(f'{{ host = "{node.host}", port = {node.port} }}' for node in reversed(cluster.nodes))
    proxy.write("route.toml", f"""
[clusters.main]
nodes = [{nodes}]
[clusters.main.health]
user = "postgres"
password = "{PASSWORDS['postgres']}"
[clusters.main.reads]
{reads}
[databases."*"]
cluster = "main"
""")
    return "route.toml"


def test_hidden_writes_are_found(pgweir, cluster, shop):
    cluster.catch_up()
    proxy = pgweir(start=False)
    config = toml_for(proxy, cluster)
    wrong = [(sql, printed, expected) for sql, expected in CASES
             if (printed := route(proxy, config, shop, sql)) != expected]
    assert not wrong


def test_replicas_run_what_is_a_read(cluster, shop):
    cluster.catch_up()
    with cluster.nodes[1].connect(dbname=shop, options="-c search_path=shop,public") as replica:
        for sql, expected in CASES:
            if expected == "replica: read":
                replica.execute(sql)


def test_the_operator_knows_better(pgweir, cluster, shop):
    cluster.catch_up()
    proxy = pgweir(start=False)
    config = toml_for(proxy, cluster, 'replica_safe_functions = ["shop.visited"]\nprimary_functions = ["price_of"]')
    assert route(proxy, config, shop, "select id from shop.over_watched") == "replica: read"
    assert route(proxy, config, shop, "select * from shop.cheap") == "primary: view_writes (shop.cheap)"


def test_without_a_catalog(pgweir):
    proxy = pgweir(start=False)
    assert route(proxy, "select * from anything") == "replica: read"
    assert route(proxy, "select nextval('a')") == "primary: function_volatile (nextval)"
    assert route(proxy, "/* pgweir: primary */ select 1") == "primary: hint"
    assert route(proxy, "set pgweir.route = 'primary'") == "pgweir: own_setting (pgweir.route)"


def test_what_cannot_be_read_is_said(pgweir, cluster):
    proxy = pgweir(start=False)
    config = toml_for(proxy, cluster)
    done = subprocess.run([proxy.program, "route", config, "route_nosuch", "select 1"], check=False,
                          capture_output=True, text=True, timeout=60, cwd=proxy.directory, **IDENTITY)
    assert done.returncode == 1 and 'database "route_nosuch" does not exist' in done.stderr and not done.stdout
