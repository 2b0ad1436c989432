// node-postgres through whatever listens on a port: driver.js PORT DATABASE TABLE MODE. Prints one line a
// step, the same for the same mode whatever is in between.
'use strict';
const crypto = require('crypto');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');

const [port, database, table, mode] = process.argv.slice(2);
const transactions = mode !== 'statement';
const CLIENTS = 12;
const ROUNDS = 40;
const LARGE = 1 << 20;
const settings = {
    host: '127.0.0.1', port: Number(port), database, user: 'scram_user', password: 'scram-secret',
    connectionTimeoutMillis: 20000,
};

async function connected(work, options = {}) {
    const client = new Client({ ...settings, ...options });
    await client.connect();
    try {
        return await work(client);
    } finally {
        await client.end();
    }
}

async function step(name, work, options) {
    console.log(`${name}: ${JSON.stringify(await connected(work, options))}`);
}

async function failure(query) {
    try {
        await query;
        return 'no error';
    } catch (problem) {
        return `${problem.code} ${problem.message}`;
    }
}

async function count(client) {
    const sql = `select count(*)::int as rows, coalesce(sum(number), 0)::int as sum from ${table}`;
    return (await client.query(sql)).rows[0];
}

const insert = (owner, number) => ({
    name: 'insert', text: `insert into ${table} (owner, number) values ($1, $2) returning id`,
    values: [owner, number],
});

async function simple(client) {
    const results = await client.query("select 1 as a; select 'two' as b, null as c; select 3 where false");
    return [results.map((one) => one.rows), await failure(client.query('select from from')),
        (await client.query('')).rows];
}

async function typed(client) {
    const seen = [];
    const text = 'select $1::int, $2::bigint, $3::float8, $4::text, $5::numeric, $6::int[], $7::bool, $8::json';
    const values = [1, '1099511627776', 0.5, 'größe \' \\ "', '12345.6789', [1, null, 3], null, { a: [1] }];
    for (let round = 0; round < 3; round++) {
        seen.push((await client.query({ text, values, rowMode: 'array' })).rows);
        seen.push((await client.query({ name: 'typed', text, values, rowMode: 'array' })).rows);
    }
    return seen;
}

/** Results in binary, which the driver asks for at Bind. */
async function binary(client) {
    const text = 'select $1::int as i, $2::float8 as f, $3::text as t, $4::bool as b';
    const seen = [];
    for (const name of [undefined, 'binary', 'binary'])
        seen.push((await client.query({ name, text, values: [-5, 0.25, 'é', true] })).rows);
    return seen;
}

/** Many names on one connection, each used again; errors at Parse, at Bind and at Execute. */
async function named(client) {
    const seen = [];
    for (let round = 0; round < 3; round++) {
        let sum = 0;
        for (let number = 0; number < 30; number++) {
            const text = `select $1::int * ${number} as product`;
            sum += (await client.query({ name: `n${number}`, text, values: [round + 1] })).rows[0].product;
        }
        seen.push(sum);
        seen.push(await failure(client.query({ name: 'p', text: 'select $1 from no_such_table', values: [1] })));
        seen.push(await failure(client.query({ name: 'b', text: 'select $1::int', values: ['x'] })));
        seen.push(await failure(client.query({ name: 'e', text: 'select 1 / $1::int', values: [round % 2] })));
    }
    return seen;
}

/** Queries queued on one connection without waiting for one another. */
async function queued(client) {
    const queries = [];
    for (let number = 0; number < 200; number++) {
        queries.push(number % 50 === 49
            ? failure(client.query('select 1 / 0'))
            : client.query({ name: 'q', text: 'select $1::int as n', values: [number] }).then((r) => r.rows[0].n));
    }
    return Promise.all(queries);
}

async function bytes(client) {
    const sent = Buffer.alloc(LARGE);
    for (let at = 0; at < LARGE; at++) sent[at] = (at * 7919) >> 3 & 255;
    const seen = [];
    for (const name of [undefined, 'bytes', 'bytes']) {
        const query = { name, text: 'select $1::bytea as b, length($1::bytea) as l', values: [sent] };
        const [row] = (await client.query(query)).rows;
        seen.push([row.l, crypto.createHash('sha1').update(row.b).digest('hex'), sent.equals(row.b)]);
    }
    return seen;
}

async function keys(client) {
    await client.query(`truncate ${table} restart identity`);
    const seen = [];
    for (let number = 0; number < 5; number++) {
        const result = await client.query(insert('keys', number));
        seen.push([result.command, result.rowCount, result.rows]);
    }
    return seen;
}

async function cancel(client) {
    const { rows } = await client.query('select pg_backend_pid() > 0 as there');
    const query = new (require('pg').Query)('select pg_sleep(30)');
    const ended = new Promise((resolve) => {
        query.once('error', (problem) => resolve(`${problem.code} ${problem.message}`));
        query.once('end', () => resolve('not cancelled'));
    });
    client.query(query);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const canceller = new Client(settings);
    canceller.connection.on('error', () => {});  // the server closes at once
    canceller.cancel(client, query);
    const answer = await ended;
    return [rows, answer, (await client.query("select 'alive' as a")).rows];
}

async function notices(client) {
    const seen = [];
    client.on('notice', (notice) => seen.push(`${notice.severity} ${notice.code} ${notice.message}`));
    await client.query("do $$ begin raise notice 'first %', 1; raise warning 'second'; end $$");
    return seen;
}

async function transaction(client) {
    const seen = [];
    await client.query(`truncate ${table} restart identity`);
    for (const end of ['commit', 'rollback']) {
        await client.query('begin');
        for (let number = 0; number < 3; number++) await client.query(insert('tx', number));
        await client.query(end);
        seen.push(await count(client));
    }
    await client.query('begin');
    await client.query(insert('error', 1));
    seen.push(await failure(client.query('select 1 / $1::int', [0])));
    seen.push(await failure(client.query(insert('error', 2))));
    seen.push((await client.query('commit')).command);
    await client.query('begin');
    await client.query(insert('savepoint', 1));
    await client.query('savepoint here');
    seen.push(await failure(client.query('select * from no_such_table')));
    await client.query('rollback to savepoint here');
    await client.query(insert('savepoint', 2));
    await client.query('commit');
    seen.push(await count(client));
    return seen;
}

async function cursors(client) {
    const seen = [];
    await client.query('begin');
    for (const limit of [20000, 1000, 0]) {
        const text = "select n, repeat('x', 200) as x from generate_series(1, $1::int) n";
        const cursor = client.query(new Cursor(text, [limit]));
        let rows = 0;
        let sum = 0;
        for (let read = await cursor.read(100); read.length > 0; read = await cursor.read(100)) {
            rows += read.length;
            for (const row of read) sum += row.n + row.x.length;
        }
        await cursor.close();
        seen.push([rows, sum]);
    }
    const early = client.query(new Cursor('select generate_series(1, 1000) as n'));
    seen.push((await early.read(3)).map((row) => row.n));
    await early.close();
    await client.query('declare c cursor for select generate_series(1, 10) as n');
    seen.push((await client.query('fetch 4 from c')).rows.map((row) => row.n));
    await client.query('commit');
    return seen;
}

/** More connections than servers; each sees its own rows only. */
async function one(client, number) {
    const owner = `client ${number}`;
    const mine = {
        name: 'mine', values: [owner],
        text: `select count(*)::int as n, min(owner) as a, max(owner) as z from ${table} where owner = $1`,
    };
    // The same name as every other client's, with another text.
    const own = { name: 'own', text: `select ${number} as number, $1::text as owner`, values: [owner] };
    for (let round = 0; round < ROUNDS; round++) {
        const wrap = transactions && round % 2 === 1;
        if (wrap) await client.query('begin');
        await client.query(insert(owner, round));
        const [first] = (await client.query(own)).rows;
        const [second] = (await client.query(mine)).rows;
        if (wrap) await client.query('commit');
        const seen = [first.number, first.owner, second.n, second.a, second.z].join();
        const expected = [number, owner, round + 1, owner, owner].join();
        if (seen !== expected) return `got ${seen} for ${expected}`;
    }
    return 'ok';
}

async function concurrent() {
    await connected((client) => client.query(`truncate ${table}`));
    const clients = Array.from({ length: CLIENTS }, (_, number) => connected((client) => one(client, number)));
    console.log(`concurrent: ${JSON.stringify(await Promise.all(clients))}`);
}

async function pooled() {
    const pool = new Pool({ ...settings, max: CLIENTS });
    const queries = Array.from({ length: 300 }, (_, number) =>
        pool.query({ name: 'echo', text: 'select $1::int as n', values: [number] }).then((r) => r.rows[0].n));
    console.log(`pool: ${JSON.stringify(await Promise.all(queries))}`);
    await pool.end();
}

async function main() {
    await step('simple', simple);
    await step('typed', typed);
    await step('binary', binary, { binary: true });
    await step('named', named);
    await step('queued', queued);
    await step('bytes', bytes);
    await step('generated keys', keys);
    await step('cancel', cancel);
    await step('notices', notices);
    if (transactions) {
        await step('transaction', transaction);
        await step('cursors', cursors);
    }
    await concurrent();
    await pooled();
}

main().catch((problem) => {
    console.log(`failed: ${problem.stack}`);
    process.exit(1);
});
